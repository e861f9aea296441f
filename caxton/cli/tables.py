"""Tables, times and markers for people; rich is imported here and nowhere above."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caxton.cli.session import Session

STATE_STYLES = {
    "running": "green",
    "loaded": "cyan",
    "draining": "yellow",
    "stopped": "dim",
    "failed": "bold red",
    "rejected": "bold red",
    "ok": "green",
    "loading": "yellow",
    "degraded": "yellow",
    "settled": "green",
    "accepted": "yellow",
}


def console(session: Session, *, err: bool = False) -> Console:
    """The terminal, or the pipe: no colours and no cutting off there."""
    width = None if sys.stdout.isatty() else 10_000
    return Console(stderr=err, no_color=not session.colored, highlight=False, width=width, soft_wrap=True)


def print_table(session: Session, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell), style=STATE_STYLES.get(str(cell), "")) for cell in row))
    console(session).print(table)


def print_fields(session: Session, fields: Sequence[tuple[str, object]]) -> None:
    """Names and values below each other; empty values are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields:
        if value not in (None, "", (), []):
            table.add_row(name, Text(str(value), style=STATE_STYLES.get(str(value), "")))
    console(session).print(table)


def moment(at: float | None) -> str:
    """A time as people say it: how long ago for the last day, the date before that."""
    if at is None:
        return "never"
    then = datetime.fromtimestamp(at, UTC)
    seconds = (datetime.now(UTC) - then).total_seconds()
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600)):
        if seconds < limit:
            return f"{max(0, int(seconds / size))} {unit} ago"
    return then.astimezone().strftime("%Y-%m-%d %H:%M")
