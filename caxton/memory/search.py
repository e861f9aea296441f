"""One search in the database: words and meanings, filtered, fused, and made into hits."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from caxton.domain.memory import MemoryFilter, MemoryHit, MemoryQuery, SearchMode, Vector
from caxton.domain.ports.database import Session
from caxton.memory import words
from caxton.memory.filters import in_spaces, where
from caxton.memory.pages import Unsaved
from caxton.memory.rows import SELECT_THESE, entry_from
from caxton.memory.vectors import Found, VectorSearch

DEPTH = 50
"""Entries taken at least from each of the lists that are fused."""
TRIED = 256
"""Nearest entries looked through for those that a filter means, before the filter goes first."""

ALL_SPACES = "SELECT id FROM memory_spaces ORDER BY id"
MEANT = """
SELECT e.seq FROM json_each(?) AS these CROSS JOIN memory_entries AS e ON e.seq = these.value WHERE {where}
"""
ALLOWED = """
SELECT v.number FROM memory_entries AS e JOIN memory_vectors AS v ON v.entry = e.seq AND v.model = ? WHERE {where}
"""
TAGGED = "SELECT entry FROM memory_tags WHERE {spaces} AND tag = ?"
ALLOWED_TAGGED = """
SELECT v.number FROM ({tagged}) AS these CROSS JOIN memory_vectors AS v ON v.entry = these.entry AND v.model = ?
"""
ROWS = SELECT_THESE + "WHERE {where}"


class Meaning(NamedTuple):
    """A query's vector and the id of the model that it is of."""

    model: int
    vector: Vector


def by_words(session: Session, query: MemoryQuery, now: float) -> list[int]:
    """Seqs of entries, best first."""
    return words.find(session, query, where(session, query.filter, now), max(DEPTH, query.limit))


class Search:
    """A search under way; belongs to one transaction. `unsaved` collects pages that are worth writing down."""

    def __init__(self, session: Session, query: MemoryQuery, vectors: VectorSearch, now: float) -> None:
        self.unsaved: list[Unsaved] = []
        self._session = session
        self._query = query
        self._vectors = vectors
        self._where = where(session, query.filter, now)

    def hits(self, worded: Sequence[int], meaning: Meaning | None) -> list[MemoryHit]:
        """The best of what words found and what is near in meaning."""
        near = self._near(meaning) if meaning else {}
        scores = near if self._query.mode is SearchMode.SEMANTIC else words.fused([worded, list(near)])
        rows = {row[0]: entry_from(row) for row in self._rows(ROWS, list(scores)[: self._query.limit])}
        if meaning and (unknown := [seq for seq in rows if seq not in near]):
            near |= self._vectors.similarities(self._session, meaning.model, unknown, meaning.vector)
        return [
            MemoryHit(entry=rows[seq], score=score, similarity=near.get(seq))
            for seq, score in list(scores.items())[: self._query.limit]
            if seq in rows
        ]

    def _near(self, meaning: Meaning) -> dict[int, float]:
        """Seqs of the nearest entries with their similarities, best first."""
        depth = max(DEPTH, self._query.limit)
        if not self._query.filter.narrows:
            return self._meant(self._nearest(meaning, depth).nearest, depth)
        # Most filters leave enough of the nearest; only else is it worth listing what they leave of everything.
        found = self._nearest(meaning, max(TRIED, depth))
        meant = self._meant(found.nearest[: found.sure], depth)
        if len(meant) >= self._query.limit:
            return meant
        return self._meant(self._nearest(meaning, depth, self._allowed(meaning.model)).nearest, depth)

    def _allowed(self, model: int) -> list[int]:
        """The numbers of the vectors that the filter means, and maybe of some that have expired."""
        tags = self._query.filter.tags
        if self._query.filter == MemoryFilter(spaces=self._query.filter.spaces, tags=tags):
            # Tags alone are answered from their index, without a look at the entries.
            tagged = TAGGED.format(spaces=in_spaces("space", self._where.spaces))
            sql = ALLOWED_TAGGED.format(tagged=" INTERSECT ".join([tagged] * len(tags)))
            return [number for (number,) in self._session.execute(sql, (*tags, model))]
        return [number for (number,) in self._session.execute(self._sql(ALLOWED), (model, *self._where.values))]

    def _nearest(self, meaning: Meaning, count: int, allowed: Sequence[int] | None = None) -> Found:
        spaces = self._where.spaces
        if spaces is None:
            spaces = tuple(id for (id,) in self._session.execute(ALL_SPACES))
        found = self._vectors.nearest(
            self._session, model=meaning.model, spaces=spaces, query=meaning.vector, count=count, allowed=allowed
        )
        self.unsaved += found.unsaved
        return found

    def _meant(self, found: Sequence[tuple[int, float]], count: int) -> dict[int, float]:
        """The first `count` that are still there and that the filter means."""
        meant: dict[int, float] = {}
        for first in range(0, len(found), count):
            some = found[first : first + count]
            alive = {seq for (seq,) in self._rows(MEANT, [seq for seq, _ in some])}
            meant |= {seq: similarity for seq, similarity in some if seq in alive}
            if len(meant) >= count:
                break
        return meant

    def _rows(self, sql: str, seqs: Sequence[int]) -> list[tuple[Any, ...]]:
        return self._session.execute(self._sql(sql), (msgspec.json.encode(seqs).decode(), *self._where.values))

    def _sql(self, sql: str) -> str:
        return sql.format(where=self._where.sql)
