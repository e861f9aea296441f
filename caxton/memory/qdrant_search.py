"""Search in Qdrant: by words, by meaning, and both fused."""

from collections.abc import Sequence
from typing import Any

import msgspec

from caxton.domain.errors import CaxtonError
from caxton.domain.memory import MemoryFilter, MemoryHit, MemoryQuery, SearchMode, SearchResult, Vector
from caxton.domain.ports.clock import Clock
from caxton.memory import checks, points
from caxton.memory.collection import Collection
from caxton.memory.meanings import Meanings
from caxton.memory.words import fused

MOST, DEPTH = 1_000, 50
"""Entries that may be asked for, and those taken at least from each of the lists that are fused."""


class QdrantSearch:
    """Searches a collection; what that fails with is `memory_unavailable`."""

    def __init__(self, collection: Collection, meanings: Meanings, clock: Clock) -> None:
        self._points = collection
        self._meanings = meanings
        self._clock = clock

    async def run(self, query: MemoryQuery) -> SearchResult:
        checks.check_text("query", query.text)
        if not 1 <= query.limit <= MOST:
            raise checks.invalid(f"A search gives 1 to {MOST} entries; {query.limit!r} were asked for.")
        chosen, depth, warning = query.filter, max(DEPTH, query.limit), ""
        payloads: dict[str, Any] = {}
        worded: list[str] = []
        near: dict[str, float] = {}
        if query.mode is not SearchMode.SEMANTIC:
            payloads |= (found := await self._by_words(query, depth))
            worded = list(found)
        vector: Vector | None = None
        if query.mode is not SearchMode.EXACT:
            try:
                (vector,) = await self._meanings.of([query.text])
            except CaxtonError as error:
                if query.mode is SearchMode.SEMANTIC:
                    raise
                warning = f"Only words were searched for: {error.message}"
        if vector is not None:
            for payload, score in await self._near(vector, chosen, depth):
                payloads[payload["id"]] = payload
                near[payload["id"]] = score
        if query.mode is SearchMode.SEMANTIC:
            scores = near
        else:
            ids = list(payloads)
            places = {id: place for place, id in enumerate(ids)}
            ranked = fused([[places[id] for id in worded], [places[id] for id in near]])
            scores = {ids[place]: score for place, score in ranked.items()}
        best = list(scores.items())[: query.limit]
        if vector is not None and (unknown := tuple(id for id, _ in best if id not in near)):
            of_these = msgspec.structs.replace(chosen, ids=unknown)
            near |= {payload["id"]: score for payload, score in await self._near(vector, of_these, len(unknown))}
        hits = tuple(
            MemoryHit(entry=points.entry_from(payloads[id]), score=score, similarity=near.get(id)) for id, score in best
        )
        return SearchResult(hits=hits, warning=warning)

    async def _by_words(self, query: MemoryQuery, depth: int) -> dict[str, Any]:
        """Payloads by their ids, best first. An exact search wants every word, and phrases whole."""
        words, phrases = points.asked(query.text)
        if not words:
            return {}
        exact = query.mode is SearchMode.EXACT
        wanted = [points.equals("words", word) for word in words] if exact else [points.one_of("words", words)]
        chosen = points.meant(query.filter, self._clock.now(), *wanted)
        limit = MOST if exact and phrases else depth
        vector = points.sparse(words, query=True)
        found = [payload for payload, _ in await self._points.nearest(vector, points.WORDS, chosen, limit)]
        if exact:
            found = [one for one in found if all(_has(one["searched"], phrase) for phrase in phrases)]
        return {one["id"]: one for one in found[:depth]}

    async def _near(self, vector: Vector, filter: MemoryFilter, limit: int) -> list[tuple[Any, float]]:
        chosen = points.meant(filter, self._clock.now(), points.equals("model", self._meanings.model))
        return await self._points.nearest(list(vector), points.MEANING, chosen, limit)


def _has(text: str, phrase: Sequence[str]) -> bool:
    words, length = points.tokens(text), len(phrase)
    return any(words[first : first + length] == list(phrase) for first in range(len(words) - length + 1))
