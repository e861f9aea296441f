"""The copies in memory of what search by meaning compares, kept up with the database.

A small space is held whole, of a large one only the signs (`signs.py`). Before it is searched a table takes in what
was committed since; what was deleted meanwhile stays in it until it is much, and whoever searches asks the database for
what it is about to return. So neither inserts nor deletes have to tell anybody.
"""

from collections import OrderedDict
from typing import TypeAlias

import numpy as np

from caxton.domain.ports.database import Session
from caxton.memory import pages
from caxton.memory.exact import ExactTable
from caxton.memory.signs import Floats, Numbers, SignTable, signs

EXACT = 10_000
"""Vectors of a space up to which all of them are compared."""
BUDGET = 256 * 1024 * 1024
"""Bytes that tables may take; beyond it those go that were not searched for longest."""
CHUNK = 16_384
"""Vectors read together."""
TOLERATED = 64
"""Deleted vectors that a table may hold, however small it is; otherwise one in 50."""
WORN = 0.75
"""The share of a table that is left, after deletes, below which its pages on disk are written anew."""

INDEX = "SELECT vectors, centre FROM memory_indexes WHERE space = ? AND model = ?"
SINCE = "SELECT number, vector FROM memory_vectors WHERE space = ? AND model = ? AND number > ? ORDER BY number LIMIT ?"
SAMPLE = "SELECT vector FROM memory_vectors WHERE space = ? AND model = ? AND number % ? = 0 ORDER BY number LIMIT ?"
NUMBERS = "SELECT number FROM memory_vectors WHERE space = ? AND model = ? ORDER BY number"

Table: TypeAlias = ExactTable | SignTable


class Tables:
    """Tables by space and model. Not safe for threads: whoever has it searches alone."""

    def __init__(self, *, exact: int = EXACT, budget: int = BUDGET) -> None:
        self._exact = exact
        self._budget = budget
        self._tables: OrderedDict[tuple[int, int], Table] = OrderedDict()

    def current(self, session: Session, space: int, model: int, dimension: int) -> tuple[Table, int] | None:
        """A table with every vector that is committed, and how many in it are deleted; None for an empty space."""
        # First: a count taken before the vectors never makes a deleted one look alive.
        rows = session.execute(INDEX, (space, model))
        table = self._tables.pop((space, model), None)
        if not rows or not rows[0][0]:
            return None
        ((held, centre),) = rows
        if table is None:
            table = self._opened(session, space, model, dimension, held, centre)
        _catch_up(session, space, model, table)
        dead = max(0, len(table) - held)
        if dead > max(TOLERATED, len(table) // 50):
            _clear(session, space, model, table)
            dead = 0
        if isinstance(table, ExactTable) and len(table) > self._exact:
            grown = SignTable(table.vectors.mean(axis=0))
            grown.add(table.numbers, signs(table.vectors, grown.centre))
            table = grown
        self._tables[space, model] = table
        self._shrink()
        return table, dead

    def forget(self) -> None:
        """Let go of everything; the next search reads it again."""
        self._tables.clear()

    def _opened(
        self, session: Session, space: int, model: int, dimension: int, held: int, centre: bytes | None
    ) -> Table:
        if held <= self._exact:
            return ExactTable(dimension)
        loaded = pages.load(session, space, model, centre, dimension)
        return loaded or SignTable(_mean(session, space, model, dimension, held))

    def _shrink(self) -> None:
        while len(self._tables) > 1 and sum(table.bytes for table in self._tables.values()) > self._budget:
            self._tables.popitem(last=False)


def floats(vectors: list[bytes]) -> Floats:
    """Stored vectors, a row each."""
    rows: Floats = np.frombuffer(b"".join(vectors), dtype="<f2").reshape(len(vectors), -1).astype(np.float32)
    return rows


def _catch_up(session: Session, space: int, model: int, table: Table) -> None:
    while True:
        last = int(table.numbers[-1]) if len(table) else 0
        rows = session.execute(SINCE, (space, model, last, CHUNK))
        if rows:
            numbers: Numbers = np.fromiter((number for number, _ in rows), dtype=np.int64, count=len(rows))
            vectors = floats([vector for _, vector in rows])
            if isinstance(table, ExactTable):
                table.add(numbers, vectors)
            else:
                table.add(numbers, signs(vectors, table.centre))
        if len(rows) < CHUNK:
            return


def _clear(session: Session, space: int, model: int, table: Table) -> None:
    """Drop what is deleted."""
    live = np.fromiter((number for (number,) in session.execute(NUMBERS, (space, model))), dtype=np.int64)
    mask = np.isin(table.numbers, live, assume_unique=True)
    if isinstance(table, SignTable) and mask.mean() < WORN:
        table.saved = 0
    table.keep(mask)


def _mean(session: Session, space: int, model: int, dimension: int, held: int) -> Floats:
    """The mean of a sample from all over the space; nothing but recall depends on it."""
    rows = session.execute(SAMPLE, (space, model, held // CHUNK + 1, CHUNK))
    if not rows:
        return np.zeros(dimension, dtype=np.float32)
    mean: Floats = floats([vector for (vector,) in rows]).mean(axis=0)
    return mean
