"""The server process: settings, socket, PID file, Caxton, HTTP, and a clean end."""

import argparse
import asyncio
import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import version

import uvicorn

from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.settings import ServerSettings
from caxton.process.pidfile import Instance, hold
from caxton.server.app import Running, create_app
from caxton.server.foreign import is_loopback
from caxton.server.gate import Gate
from caxton.server.stopping import LAST_WORDS, Stop, StoppableServer
from caxton.server.websocket import LONGEST_FRAME
from caxton.wiring import configure_logging, load_server_settings, open_caxton, server_url

log = logging.getLogger(__name__)

Opener = Callable[[ServerSettings], AbstractAsyncContextManager[Running]]

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
            log.warning("%s", warning.headline)
        _run(settings)
    except (CaxtonError, BaseExceptionGroup) as error:
        if (failure := failure_in(error)) is None:
            raise
        print(_words(failure), file=sys.stderr)
        return failure.info.exit
    return 0


def _run(settings: ServerSettings) -> None:
    with listening(settings) as listener:
        try:
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        stop = Stop()
        with hold(settings.pid_file, instance), stop.on_signals():
            asyncio.run(serve(settings, listener, stop=stop, open_caxton=open_caxton))


def listening(settings: ServerSettings) -> socket.socket:
    """A socket that listens at the settings' address; CaxtonError `port_in_use` where another process does already.

    It listens from the start: a client that comes before the server is ready waits instead of being turned away.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP: only for such sockets asyncio switches off the delay that gathers small packets (Nagle's).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        where = f"The server cannot listen on {settings.host} port {settings.port}."
        if error.errno == errno.EADDRINUSE:
            raise CaxtonError(Code.PORT_IN_USE, where, why=str(error)) from error
        hint = "Choose another address: `--host`, `--port`, or `host` and `port` in `[server]`."
        raise CaxtonError(Code.CONFIGURATION_INVALID, where, why=str(error), hint=hint) from error
    return listener


async def serve(settings: ServerSettings, listener: socket.socket, *, stop: Stop, open_caxton: Opener) -> None:
    """Serve until `stop` is asked for; then turns may end within the drain timeout, and everything is closed."""
    async with AsyncExitStack() as opened:
        caxton = await opened.enter_async_context(open_caxton(settings))
        gate = Gate()
        config = uvicorn.Config(
            create_app(caxton, gate),
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=LONGEST_FRAME,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=LAST_WORDS,
        )
        log.info("Caxton %s listens on %s", version("caxton"), server_url(settings))
        if not is_loopback(settings.host):
            log.warning(
                "%s can be reached from other machines, and there is no authentication: whoever reaches it can use and "
                "change every agent",
                settings.host,
            )
        await StoppableServer(config, stop=stop, gate=gate, drain=opened.aclose).serve(sockets=[listener])
        log.info("the server has stopped")


def failure_in(error: BaseException) -> CaxtonError | None:
    """The CaxtonError that a task group may have wrapped; None where something else went wrong too."""
    while isinstance(error, BaseExceptionGroup) and error.split(CaxtonError)[1] is None:
        error = error.exceptions[0]
    return error if isinstance(error, CaxtonError) else None


def _words(error: CaxtonError) -> str:
    if isinstance(error, ConfigurationError):
        return "\n".join(diagnostic.render() for diagnostic in error.diagnostics)
    parts = [f"error[{error.code}]: {error.message}", error.why, f"hint: {error.hint}" if error.hint else ""]
    return "\n  ".join(part for part in parts if part)
