"""Search by meaning: which entries of some spaces have the vectors nearest to a query's."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from caxton.domain.memory import Vector
from caxton.domain.ports.database import Session
from caxton.memory.exact import ExactTable
from caxton.memory.pages import Unsaved, unsaved
from caxton.memory.signs import Floats
from caxton.memory.tables import Tables, floats

CANDIDATES = 400
"""Vectors of a large space that are scored exactly, up to 100,000; it grows with the root of the size."""
FILTERED = 1_500
"""The same under a filter: what it leaves lies farther from the query, where signs tell less."""
FETCHED = 2_500
"""Vectors that a filter may leave for them to be scored without looking at the others."""

ENTRIES = "SELECT number, entry FROM memory_vectors WHERE number IN (SELECT value FROM json_each(?)) AND model = ?"
SCORED = "SELECT entry, vector FROM memory_vectors WHERE number IN (SELECT value FROM json_each(?)) AND model = ?"
OF_ENTRIES = "SELECT entry, vector FROM memory_vectors WHERE entry IN (SELECT value FROM json_each(?)) AND model = ?"


SURE = 20
"""One in so many of a large space's candidates is surely among the nearest; the others may be where better ones are."""


class Found(NamedTuple):
    """Seqs of entries with their similarities, best first; how many of them are sure; pages worth writing down."""

    nearest: list[tuple[int, float]]
    sure: int
    unsaved: list[Unsaved]


class VectorSearch:
    """Searches one database. Any thread may call; one at a time gets through."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = threading.Lock()

    def nearest(
        self,
        session: Session,
        *,
        model: int,
        spaces: Sequence[int],
        query: Vector,
        count: int,
        allowed: Sequence[int] | None = None,
    ) -> Found:
        """The `count` nearest in these spaces, and others that were looked at.

        `allowed` has the numbers of the only vectors that may be found; None allows all.
        """
        asked = np.frombuffer(query, dtype=np.float32)
        if allowed is not None and len(allowed) <= FETCHED:
            scored = _scored(session, SCORED, allowed, model, asked)
            return Found(_ranked(scored), len(scored), [])
        only = None if allowed is None else np.fromiter(allowed, dtype=np.int64, count=len(allowed))
        found: list[tuple[int, float]] = []
        left: list[Unsaved] = []
        share = 1
        with self._lock:
            for space in spaces:
                if (current := self._tables.current(session, space, model, len(asked))) is None:
                    continue
                table, dead = current
                mask = None if only is None else np.isin(table.numbers, only, assume_unique=True)
                if isinstance(table, ExactTable):
                    best = table.nearest(asked, count + dead, mask)
                    rows = session.execute(ENTRIES, (_json(list(best)), model))
                    found += [(entry, best[number]) for number, entry in rows]
                else:
                    wanted = CANDIDATES if mask is None else FILTERED
                    wanted = count + dead + round(wanted * max(1.0, len(table) / 100_000) ** 0.5)
                    share = SURE
                    candidates = table.nearest(asked, wanted, mask).tolist()
                    found += _scored(session, SCORED, candidates, model, asked)
                    if pages := unsaved(table, space, model):
                        left.append(pages)
        return Found(_ranked(found), len(found) // share, left)

    def similarities(self, session: Session, model: int, seqs: Sequence[int], query: Vector) -> dict[int, float]:
        """How near these entries are, those left out that have no vector of the model."""
        return dict(_scored(session, OF_ENTRIES, seqs, model, np.frombuffer(query, dtype=np.float32)))

    def forget(self) -> None:
        """Let go of what is held in memory; the next search reads it again."""
        with self._lock:
            self._tables.forget()


def _scored(session: Session, sql: str, ids: Sequence[int], model: int, query: Floats) -> list[tuple[int, float]]:
    rows = session.execute(sql, (_json(ids), model)) if ids else []
    if not rows:
        return []
    scores = np.vecdot(floats([vector for _, vector in rows]), query)
    return list(zip((entry for entry, _ in rows), scores.tolist(), strict=True))


def _ranked(found: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(found, key=lambda one: -one[1])


def _json(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()
