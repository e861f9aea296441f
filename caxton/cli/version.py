"""`caxton version`."""

import sys

import click

from caxton.cli.session import CaxtonCommand, Session, pass_session


@click.command(cls=CaxtonCommand)
@pass_session
def version(session: Session) -> None:
    """Show the version."""
    from importlib.metadata import version as installed

    told = {"caxton": installed("caxton"), "python": sys.version.split()[0]}
    session.show(told, lambda: click.echo(f"caxton {told['caxton']} (Python {told['python']})"))
