"""Signs on disk: what makes the first search of a large space quick. A cache; every fault in it means: make it anew."""

import zlib
from typing import NamedTuple

import numpy as np

from caxton.domain.ports.database import Session
from caxton.memory.signs import SignTable, words_for

PAGE = 4096
"""Vectors a page."""

LOAD = "SELECT after, numbers, signs, checksum FROM memory_pages WHERE space = ? AND model = ? ORDER BY after"
DROP = "DELETE FROM memory_pages WHERE space = ? AND model = ? AND after >= ?"
KEEP = "INSERT INTO memory_pages (space, model, after, numbers, signs, checksum) VALUES (?, ?, ?, ?, ?, ?)"
CENTRE = "UPDATE memory_indexes SET centre = ? WHERE space = ? AND model = ? RETURNING space"


class Unsaved(NamedTuple):
    """Pages of one space that follow the vector `after`, in place of whatever follows it on disk."""

    space: int
    model: int
    after: int
    centre: bytes
    pages: list[tuple[int, bytes, bytes, int]]
    """Of each the columns of memory_pages from `after` on."""


def load(session: Session, space: int, model: int, centre: bytes | None, dimension: int) -> SignTable | None:
    """The signs that are on disk, up to the first page that is damaged; None where there is nothing to go on from."""
    if centre is None or len(centre) != 4 * dimension:
        return None
    table = SignTable(np.frombuffer(centre, dtype="<f4").astype(np.float32))
    for after, numbers, signs, checksum in session.execute(LOAD, (space, model)):
        count = len(numbers) // 8
        whole = count > 0 and len(signs) == count * 8 * words_for(dimension)
        if after != table.saved or not whole or checksum != _checksum(after, numbers, signs, centre):
            break
        table.add(np.frombuffer(numbers, dtype="<i8"), np.frombuffer(signs, dtype="<u8").reshape(-1, count))
        table.saved = int(table.numbers[-1])
    # Without a good page there is no telling whether the centre is good.
    return table if len(table) else None


def unsaved(table: SignTable, space: int, model: int) -> Unsaved | None:
    """The full pages that are not on disk, taken to be so from now on; None where there are none."""
    begin = int(np.searchsorted(table.numbers, table.saved, side="right"))
    centre = table.centre.astype("<f4").tobytes()
    pages = []
    start = table.saved
    for first in range(begin, len(table) - PAGE + 1, PAGE):
        numbers = table.numbers[first : first + PAGE].astype("<i8").tobytes()
        signs = table.signs[:, first : first + PAGE].astype("<u8").tobytes()
        pages.append((table.saved, numbers, signs, _checksum(table.saved, numbers, signs, centre)))
        table.saved = int(table.numbers[first + PAGE - 1])
    return Unsaved(space, model, start, centre, pages) if pages else None


def save(session: Session, given: Unsaved) -> None:
    """Write pages; nothing where their space is gone."""
    if session.execute(CENTRE, (given.centre, given.space, given.model)):
        session.execute(DROP, (given.space, given.model, given.after))
        for page in given.pages:
            session.execute(KEEP, (given.space, given.model, *page))


def _checksum(after: int, numbers: bytes, signs: bytes, centre: bytes) -> int:
    return zlib.crc32(centre, zlib.crc32(signs, zlib.crc32(numbers, after & 0xFFFFFFFF)))
