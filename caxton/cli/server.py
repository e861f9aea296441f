"""`caxton server`: the server's life."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

from caxton.cli.session import CaxtonGroup, Session, pass_session, session_of, yes_option
from caxton.cli.waiting import waiting
from caxton.domain.errors import EXIT_UNREACHABLE, CaxtonError, Code

OPTIONS = ("config", "host", "port", "data-dir", "agents-dir", "log-level")
START_TIMEOUT, STOP_TIMEOUT = 60.0, 60.0
"""Seconds; a stopping server first lets its turns finish, as long as its drain timeout."""


def start_options(function: Callable[..., Any]) -> Callable[..., Any]:
    helps = {
        "config": "The server file.  [default: ./caxton.toml, then caxton.toml in the data directory]",
        "host": "Address to listen on.",
        "port": "Port to listen on.",
        "data-dir": "Where database, log and agents are kept.",
        "agents-dir": "The agents directory.",
        "log-level": "debug, info, warning or error.",
    }
    for name in reversed(OPTIONS):
        function = click.option(f"--{name}", help=helps[name])(function)
    return function


@click.group(cls=CaxtonGroup)
def server() -> None:
    """Start, stop and look at the server."""


@server.command()
@click.option("--foreground", is_flag=True, help="Stay in the foreground, for systemd, Docker and debugging.")
@start_options
@pass_session
def start(session: Session, /, foreground: bool, **flags: str | None) -> None:
    """Start the server in the background, and wait until it is ready."""
    command = [sys.executable, "-m", "caxton.server", *_arguments(flags)]
    if foreground:
        _replace_this_process(command)
    _start(session, command, flags)


@server.command()
@click.option("--force", is_flag=True, help="Kill it if it does not end in time.")
@click.option("--timeout", default=STOP_TIMEOUT, show_default=True, help="Seconds to wait for its end.")
@click.option("--data-dir", help="The data directory of the server to stop.")
@pass_session
def stop(session: Session, force: bool, timeout: float, data_dir: str | None) -> None:
    """Stop the server; turns under way may finish."""
    from caxton.process import pidfile

    instance = pidfile.read(session.location(data_dir=data_dir).pid_file)
    if instance is None:
        session.show({"stopped": False}, lambda: click.echo("No server runs."))
        return
    _stop(session, instance, timeout, force)
    session.show({"stopped": True, "pid": instance.pid}, lambda: click.echo(f"Stopped server {instance.pid}."))


@server.command()
@start_options
@pass_session
def restart(session: Session, /, **flags: str | None) -> None:
    """Stop the server and start it again. Options are those of `start`, not those it was started with."""
    from caxton.process import pidfile

    if instance := pidfile.read(session.location(**flags).pid_file):
        _stop(session, instance, STOP_TIMEOUT, force=False)
    _start(session, [sys.executable, "-m", "caxton.server", *_arguments(flags)], flags)


@server.command()
@click.option("--data-dir", help="The data directory of the server that is meant.")
@click.pass_context
def status(context: click.Context, data_dir: str | None) -> None:
    """Whether a server runs, and how its parts are. Exits with 3 when none does."""
    from caxton.cli.client import Client
    from caxton.process import pidfile
    from caxton.service.api.server import READY

    session = session_of(context)
    location = session.location(data_dir=data_dir)
    instance = None if session.url_given else pidfile.read(location.pid_file)
    try:
        ready = Client(instance.url if instance else location.url, timeout=10).call(READY, accept=(503,))
    except CaxtonError as error:
        if error.code is not Code.SERVER_UNREACHABLE:
            raise
        words = f"Server {instance.pid} runs and does not answer." if instance else "No server runs."
        session.show({"running": False, "instance": instance}, lambda: click.echo(words))
        context.exit(EXIT_UNREACHABLE)
    told = {"running": True, "ready": ready.ready, "components": ready.components, "instance": instance}

    def people() -> None:
        where = f"Server {instance.pid} runs at {instance.url}" if instance else f"A server runs at {location.url}"
        click.echo(f"{where}, {'ready' if ready.ready else 'not ready'}.")
        for part in ready.components:
            click.echo(f"  {part.name:<20} {part.status:<9} {part.detail}".rstrip())

    session.show(told, people)


@server.command()
@click.option("--data-dir", help="The data directory whose database is damaged.")
@yes_option
@pass_session
def rescue(session: Session, data_dir: str | None, yes: bool) -> None:
    """Save what can be read of a damaged database. The server has to be stopped; the damaged file is kept."""
    from caxton.wiring import rescue_database

    database = session.location(data_dir=data_dir).data_dir / "caxton.db"
    session.confirm(f"Put a sound database with what can be read of it in the place of {database}?", yes=yes)
    with waiting(session, "Reading what can be read"):
        counts = rescue_database(database)

    def people() -> None:
        from caxton.cli.tables import print_table

        print_table(session, ("TABLE", "ROWS"), [(table, count) for table, count in counts.items() if count])
        click.echo(f"The damaged file is {database.with_suffix('.damaged.db')}.")

    session.show({"rows": counts}, people)


def _start(session: Session, command: list[str], flags: dict[str, str | None]) -> None:
    from caxton.cli.client import Client
    from caxton.process import daemon, pidfile
    from caxton.service.api.server import READY

    location = session.location(**flags)
    if other := pidfile.read(location.pid_file):
        raise pidfile.already_running(other)

    def ready(instance: pidfile.Instance) -> bool:
        try:
            return bool(Client(instance.url, timeout=5).call(READY).ready)
        except CaxtonError:
            return False  # not yet

    with waiting(session, "Starting the server"):
        instance = daemon.start(
            command, log_file=location.log_file, pid_file=location.pid_file, ready=ready, timeout=START_TIMEOUT
        )

    def people() -> None:
        click.echo(f"Server {instance.pid} runs at {instance.url}.")
        click.echo(f"  log     {location.log_file}")
        # Without the options that it was started with, another command may look for it elsewhere.
        where = "" if session.url() == instance.url else f" --url {instance.url}"
        click.echo(f"Next: caxton{where} create hello --template assistant, then caxton{where} chat hello")

    session.show(instance, people)


def _stop(session: Session, instance: Any, timeout: float, force: bool) -> None:
    from caxton.process import daemon

    with waiting(session, "Waiting for turns to finish"):
        stopped = daemon.stop(instance, timeout=timeout, force=force)
    if not stopped:
        raise CaxtonError(
            Code.SERVER_RUNNING,
            f"Server {instance.pid} did not end within {timeout:g} s.",
            hint="Wait longer with `--timeout`, or kill it with `--force`; what it accepted is kept.",
        )


def _arguments(flags: dict[str, str | None]) -> list[str]:
    return [
        part
        for name in OPTIONS
        if (value := flags.get(name.replace("-", "_"))) is not None
        for part in (f"--{name}", value)
    ]


def _replace_this_process(command: list[str]) -> None:
    """Become the server, so that whoever supervises this process supervises that one."""
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606 - our own interpreter
    sys.exit(subprocess.call(command))
