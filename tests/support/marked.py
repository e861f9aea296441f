"""Broken files with their problems marked below the lines they are in.

    nmae = "helper"
    ^^^^ unknown_key: Did you mean 'name'?

A line of carets is no part of the file: it says which characters of the line above are meant, the code, and words
that the message or the hint has to hold.
"""

import re
from typing import NamedTuple

from caxton.domain.diagnostics import Diagnostic

MARK = re.compile(r"([ \t]*)(\^+) (\w+)(?:: (.*))?")


class Marked(NamedTuple):
    """One problem that is expected."""

    code: str
    line: int
    column: int
    length: int
    source: str
    words: str


def read_marked(text: str) -> tuple[str, list[Marked]]:
    """The file's text, and the problems marked in it, in their order."""
    lines: list[str] = []
    marks: list[Marked] = []
    for line in text.split("\n"):
        if match := MARK.fullmatch(line):
            before, carets, code, words = match.groups()
            marks.append(Marked(code, len(lines), len(before) + 1, len(carets), lines[-1], words or ""))
        else:
            lines.append(line)
    return "\n".join(lines), marks


def assert_told(diagnostics: list[Diagnostic], marks: list[Marked]) -> None:
    """The diagnostics are those marked: code, line, column, the text above the carets, and the words."""
    told = [(one.code, one.line, one.column, one.length, one.source) for one in diagnostics]
    assert told == [mark[:5] for mark in marks], "\n".join(one.render() for one in diagnostics)
    for one, mark in zip(diagnostics, marks, strict=True):
        assert mark.words in f"{one.message} {one.hint}", one.render()
        if mark.source:
            assert one.render().splitlines()[2].endswith("^" * mark.length)
