"""Something to look at while one waits."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from caxton.cli.session import Session


@contextmanager
def waiting(session: Session, what: str) -> Iterator[None]:
    """Say on the terminal what is waited for, and wipe it away after the block; say nothing elsewhere."""
    if session.json or not sys.stderr.isatty():
        yield
        return
    words = f"{what} …"
    click.echo(words, nl=False, err=True)
    try:
        yield
    finally:
        click.echo(f"\r{' ' * len(words)}\r", nl=False, err=True)


@contextmanager
def changing(session: Session) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that the block rewrites, and that is wiped away after it; nothing elsewhere."""
    if session.json or not sys.stderr.isatty():
        yield lambda words: None
        return
    longest = 0

    def say(words: str) -> None:
        nonlocal longest
        longest = max(longest, len(words) + 2)
        click.echo("\r" + f"{words} …".ljust(longest), nl=False, err=True)

    try:
        yield say
    finally:
        click.echo(f"\r{' ' * longest}\r", nl=False, err=True)


@contextmanager
def progress(session: Session, what: str, *, counted: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on the terminal, which the block moves by telling (status, done, in all); nothing elsewhere.

    What is done is bytes, or where it is `counted` things.
    """
    if session.json or not sys.stderr.isatty():
        yield lambda status, completed, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    done = MofNCompleteColumn() if counted else DownloadColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, no_color=not session.colored), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda status, completed, total: bar.update(
            task, description=f"{what}: {status}", completed=completed, total=total
        )
