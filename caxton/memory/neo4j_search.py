"""What Neo4j finds: by words, and by meaning."""

from collections.abc import Sequence

from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, SearchMode, Vector
from caxton.domain.ports.clock import Clock
from caxton.memory.meanings import Meanings
from caxton.memory.neo4j_server import Server
from caxton.memory.nodes import ENTRY, IN_ORDER, Values, Where, entry_from, place_of, where
from caxton.memory.tokens import asked

MOST_WORDS = 200
"""Words of a query that are searched for; Lucene refuses more than 1,024."""
COMPARED = 10_000
"""Entries up to which a search compares all that its filter leaves. Of more it asks the index, that has no filter."""
TRIED = 8
"""How many times as many as are wanted the index is asked for; where the filter leaves too few, all are compared."""
FRESH = "m.model = $model AND m.dimension = $dimension"
WORDED = f"""
CALL db.index.fulltext.queryNodes($index, $words) YIELD node AS m, score WITH m, score WHERE CONDITION
RETURN {ENTRY} AS entry ORDER BY score DESC, {IN_ORDER} LIMIT $limit
"""
MEANT = "MATCH (m:`LABEL`) WHERE CONDITION WITH m LIMIT $most RETURN count(m) AS count"
EXACT = f"""
MATCH (m:`LABEL`) WHERE CONDITION WITH m, vector.similarity.cosine(m.vector, $vector) AS score
RETURN {ENTRY} AS entry, score ORDER BY score DESC, {IN_ORDER} LIMIT $limit
"""
INDEXED = f"""
CALL db.index.vector.queryNodes($index, $tried, $vector) YIELD node AS m, score WITH m, score WHERE CONDITION
RETURN {ENTRY} AS entry, score ORDER BY score DESC, {IN_ORDER} LIMIT $limit
"""


class Neo4jFinder:
    """Implements `hybrid.Finder`. The similarities of Neo4j are from 0 to 1, cosines from -1."""

    def __init__(self, server: Server, meanings: Meanings, clock: Clock, *, compared: int = COMPARED) -> None:
        self._server = server
        self._meanings = meanings
        self._clock = clock
        self._compared = compared

    async def by_words(self, query: MemoryQuery, limit: int) -> list[MemoryEntry]:
        words, phrases = asked(query.text)
        if not words or query.filter.spaces == ():
            return []
        wanted = _any(words) if query.mode is not SearchMode.EXACT else _all(words, phrases)
        if query.filter.spaces is not None:
            # It says where, and nothing of how well an entry fits.
            wanted += f" AND place:({' OR '.join(map(place_of, query.filter.spaces))})^0"
        meant = where(query.filter, self._clock.now())
        values = {**meant.values, "index": self._server.words_index, "words": wanted, "limit": limit}
        return [entry_from(row["entry"]) for row in await self._server.ask(meant.of(WORDED), values)]

    async def near(self, vector: Vector, filter: MemoryFilter, limit: int) -> list[tuple[MemoryEntry, float]]:
        meant = where(filter, self._clock.now(), FRESH)
        values = {**meant.values, "model": self._meanings.model, "dimension": len(vector), "vector": vector.tolist()}
        values["limit"] = limit
        if await self._many(meant, values):
            await self._server.fit(len(vector))
            indexed = {**values, "index": self._server.vector_index, "tried": TRIED * limit}
            found = await self._scored(meant.of(INDEXED), indexed)
            if len(found) == limit:
                return found
        return await self._scored(meant.of(EXACT), values)

    async def _many(self, meant: Where, values: Values) -> bool:
        rows = await self._server.ask(meant.of(MEANT), {**values, "most": self._compared + 1})
        return bool(rows and rows[0]["count"] > self._compared)

    async def _scored(self, text: str, values: Values) -> list[tuple[MemoryEntry, float]]:
        return [(entry_from(row["entry"]), 2 * row["score"] - 1) for row in await self._server.ask(text, values)]


def _any(words: Sequence[str]) -> str:
    return f"words:({' OR '.join(map(_quoted, words[:MOST_WORDS]))})"


def _all(words: Sequence[str], phrases: Sequence[Sequence[str]]) -> str:
    whole = [*words, *(" ".join(phrase) for phrase in phrases)]
    return f"words:({' AND '.join(map(_quoted, whole[:MOST_WORDS]))})"


def _quoted(words: str) -> str:
    """Words of letters and digits alone, so that nothing in them means anything to Lucene."""
    return f'"{words}"'
