"""`caxton logs`: what the server tells."""

import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click

from caxton.cli.session import CaxtonCommand, Session, pass_session
from caxton.domain.errors import CaxtonError, Code

INTERVAL = 0.2
"""Seconds between two looks at the file."""


@click.command(cls=CaxtonCommand)
@click.option("--follow", "-f", is_flag=True, help="Go on showing lines as they come.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(0), help="Last lines to show.")
@click.option("--data-dir", help="The data directory of the server that is meant.")
@pass_session
def logs(session: Session, follow: bool, lines: int, data_dir: str | None) -> None:
    """Show the log of a server that was started in the background."""
    path = session.location(data_dir=data_dir).log_file
    if not path.is_file():
        raise CaxtonError(
            Code.NOT_FOUND,
            f"There is no log {path}.",
            hint="A server in the foreground logs to its terminal or service.",
        )
    with path.open("rb") as file:
        for line in deque(file, maxlen=lines):
            click.echo(line.decode(errors="replace"), nl=False)
        position = file.tell()
    if follow:
        for text in _following(path, position):
            click.echo(text, nl=False)


def _following(path: Path, position: int) -> Iterator[str]:
    """What is added to the file; from its beginning when it was emptied or put anew."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    while True:
        if path.is_file() and (size := path.stat().st_size) != position:
            with path.open("rb") as file:
                file.seek(position if size > position else 0)
                added = file.read()
                position = file.tell()
            yield decoder.decode(added)
        time.sleep(INTERVAL)
