"""Tables and times for people, made by hand: a library for it takes longer to import than the command to run."""

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import click

from caxton.cli.session import Session

GAP = "  "
NARROWEST = 12
"""What is left of a column where the terminal is too narrow for all of them."""
STATE_STYLES: Mapping[str, Mapping[str, Any]] = {
    "running": {"fg": "green"},
    "loaded": {"fg": "cyan"},
    "draining": {"fg": "yellow"},
    "stopped": {"dim": True},
    "failed": {"fg": "red", "bold": True},
    "rejected": {"fg": "red", "bold": True},
    "ok": {"fg": "green"},
    "loading": {"fg": "yellow"},
    "degraded": {"fg": "yellow"},
    "settled": {"fg": "green"},
    "accepted": {"fg": "yellow"},
}


def print_table(session: Session, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Cells in columns. On a terminal that is too narrow the widest of words are folded; in a pipe nothing is."""
    table = [[_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(columns, *table, strict=True)]
    if room := _room():
        words = [any(" " in cell for cell in column) for column in zip(columns, *table, strict=True)]
        widths = _fitted(widths, words, room)
    _print_row(session, columns, widths, [{"bold": True}] * len(columns))
    for row in table:
        _print_row(session, row, widths, [STATE_STYLES.get(cell, {}) for cell in row])


def print_fields(session: Session, fields: Sequence[tuple[str, object]]) -> None:
    """Names and values below each other; empty values are left out."""
    shown = [(name, str(value)) for name, value in fields if value not in (None, "", (), [])]
    names = max((_width(name) for name, _ in shown), default=0)
    room = _room()
    for name, value in shown:
        style = STATE_STYLES.get(value, {})
        label = _styled(session, name, bold=True) + " " * (names - _width(name))
        for line in value.splitlines():
            for part in _folded(_line(line), max(NARROWEST, room - names - len(GAP)) if room else _width(line)):
                click.echo(f"{label}{GAP}{_styled(session, part, **style)}".rstrip())
                label = " " * names


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


def _print_row(
    session: Session, row: Sequence[str], widths: Sequence[int], styles: Sequence[Mapping[str, Any]]
) -> None:
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    for line in zip_longest(*folded, fillvalue=""):
        parts = [
            _styled(session, part, **style) + " " * (width - _width(part))
            for part, width, style in zip(line, widths, styles, strict=True)
        ]
        click.echo(GAP.join(parts).rstrip())


def _room() -> int:
    """Columns of the terminal; 0 where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _fitted(widths: Sequence[int], words: Sequence[bool], room: int) -> list[int]:
    """The widths, the widest column of words made narrower until all fit or none can give more. Names stay whole."""
    fitted = list(widths)
    while sum(fitted) + len(GAP) * (len(fitted) - 1) > room:
        widest = max(range(len(fitted)), key=lambda i: fitted[i] if words[i] else 0)
        if not words[widest] or fitted[widest] <= NARROWEST:
            break
        fitted[widest] -= 1
    return fitted


def _folded(text: str, width: int) -> list[str]:
    """The text in lines of `width` columns, broken between words where that is possible."""
    if (wide := _width(text)) <= width:
        return [text]
    return textwrap.wrap(text, max(1, width * len(text) // wide))


def _line(text: str) -> str:
    """The text as one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _width(text: str) -> int:
    """Columns that a terminal takes for a text (Unicode Standard Annex #11)."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _styled(session: Session, text: str, **style: Any) -> str:
    return click.style(text, **style) if style and text and session.colored else text
