"""The server process: settings, socket, PID file, Caxton, HTTP, and a clean end."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version

import uvicorn

from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.settings import ServerSettings
from caxton.process.pidfile import Instance, hold
from caxton.server.app import create_app
from caxton.wiring import configure_logging, load_server_settings, open_caxton, server_url

log = logging.getLogger(__name__)

OPTIONS = ("config", "host", "port", "data-dir", "agents-dir", "log-level")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until it is told to stop; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m caxton.server", description="Run a Caxton server.")
    for option in OPTIONS:
        parser.add_argument(f"--{option}")
    flags = vars(parser.parse_args(arguments))
    try:
        settings = load_server_settings(flags=flags, environ=os.environ)
        configure_logging(settings.log_level)
        for warning in settings.warnings:
            log.warning("%s", warning.render())
        _run(settings)
    except CaxtonError as error:
        print(_words(error), file=sys.stderr)
        return error.info.exit
    return 0


def _run(settings: ServerSettings) -> None:
    with listening(settings) as listener:
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"The data directory {str(settings.data_dir)!r} cannot be made.",
                why=str(error),
                hint="Choose another: `--data-dir`, CAXTON_DATA_DIR or `data_dir` in `[server]`.",
            ) from error
        instance = Instance(
            pid=os.getpid(),
            url=server_url(settings),
            version=version("caxton"),
            started_at=time.time(),
            data_dir=str(settings.data_dir),
        )
        with hold(settings.pid_file, instance):
            asyncio.run(serve(settings, listener))


def listening(settings: ServerSettings) -> socket.socket:
    """A socket bound to the settings' address; CaxtonError `port_in_use` where another process listens there."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CaxtonError(
            Code.PORT_IN_USE, f"The server cannot listen on {settings.host} port {settings.port}.", why=str(error)
        ) from error
    return listener


async def serve(settings: ServerSettings, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then let requests and turns finish within the drain timeout."""
    # The server passes its signals on to whatever handled them before: nobody, or the process would end without
    # closing what it holds.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    async with open_caxton(settings) as caxton:
        config = uvicorn.Config(
            create_app(caxton),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
            server_header=False,
        )
        log.info("Caxton %s listens on %s", version("caxton"), server_url(settings))
        await uvicorn.Server(config).serve(sockets=[listener])
        log.info("the server stops")


def _words(error: CaxtonError) -> str:
    if isinstance(error, ConfigurationError):
        return "\n".join(diagnostic.render() for diagnostic in error.diagnostics)
    parts = [f"error[{error.code}]: {error.message}", error.why, f"hint: {error.hint}" if error.hint else ""]
    return "\n  ".join(part for part in parts if part)
