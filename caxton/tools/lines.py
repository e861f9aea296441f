"""Lines of a stream that may be longer than is good for us."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

CHUNK = 65_536
EDGE = 512
"""Bytes kept of either end of a line that is too long."""


class Line(msgspec.Struct, frozen=True):
    """A line without its end. Of one that is too long only `head` and `tail` are there, and how long it was."""

    head: bytes
    tail: bytes = b""
    dropped: int = 0

    @property
    def whole(self) -> bool:
        return not self.dropped


async def read_lines(stream: asyncio.StreamReader, longest: int) -> AsyncIterator[Line]:
    """Lines as they come, to the end of the stream. Holds `longest` bytes at most; what goes beyond is skipped."""
    parts: list[bytes] = []
    size = 0
    while chunk := await stream.read(CHUNK):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            yield _line([*parts, piece], size + len(piece), longest)
            parts, size = [], 0
        if rest:
            parts.append(rest)
            size += len(rest)
            if size > longest + 2 * CHUNK:
                # Too long already: its ends are enough to tell which answer it is.
                joined = b"".join(parts)
                parts = [joined[:EDGE], joined[-EDGE:]]
    if parts:
        yield _line(parts, size, longest)


def _line(parts: list[bytes], size: int, longest: int) -> Line:
    joined = b"".join(parts)
    if size <= longest:
        return Line(joined)
    return Line(joined[:EDGE], joined[-EDGE:], size - 2 * EDGE)
