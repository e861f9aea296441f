"""A search by words, by meaning or by both, over a backend that finds either by itself."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from caxton.domain.errors import CaxtonError
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryHit, MemoryQuery, SearchMode, SearchResult, Vector
from caxton.memory import checks
from caxton.memory.meanings import SEARCHING, Meanings
from caxton.memory.words import fused

MOST, DEPTH = 1_000, 50
"""Entries that may be asked for, and those taken at least from each of the lists that are fused."""


class Finder(Protocol):
    """What a backend finds, best first. What it fails with is CaxtonError `memory_unavailable`."""

    async def by_words(self, query: MemoryQuery, limit: int) -> list[MemoryEntry]:
        """An exact search wants every word, and what is in double quotes as a phrase; others are content with any."""
        ...

    async def near(self, vector: Vector, filter: MemoryFilter, limit: int) -> list[tuple[MemoryEntry, float]]:
        """Entries with the cosines of their meanings."""
        ...


async def searched(finder: Finder, meanings: Meanings, query: MemoryQuery) -> SearchResult:
    """What `Memory.search` promises."""
    checks.check_text("query", query.text)
    if not 1 <= query.limit <= MOST:
        raise checks.invalid(f"A search gives 1 to {MOST} entries; {query.limit!r} were asked for.")
    depth = max(DEPTH, query.limit)
    worded, (vectors, warning) = await asyncio.gather(_worded(finder, query, depth), meaning(meanings, query))
    found = {entry.id: entry for entry in worded}
    near: dict[str, float] = {}
    for vector in vectors:
        for entry, score in await finder.near(vector, query.filter, depth):
            found[entry.id] = entry
            near[entry.id] = score
    scores = near if query.mode is SearchMode.SEMANTIC else _fused([entry.id for entry in worded], list(near))
    best = list(scores.items())[: query.limit]
    if vectors and (unknown := tuple(id for id, _ in best if id not in near)):
        of_these = msgspec.structs.replace(query.filter, ids=unknown)
        near |= {entry.id: score for entry, score in await finder.near(vectors[0], of_these, len(unknown))}
    hits = [MemoryHit(entry=found[id], score=score, similarity=near.get(id)) for id, score in best]
    return SearchResult(hits=tuple(hits), warning=warning)


async def _worded(finder: Finder, query: MemoryQuery, limit: int) -> list[MemoryEntry]:
    return [] if query.mode is SearchMode.SEMANTIC else await finder.by_words(query, limit)


async def meaning(meanings: Meanings, query: MemoryQuery) -> tuple[list[Vector], str]:
    """The query's vector, or none and a warning."""
    if query.mode is SearchMode.EXACT:
        return [], ""
    if query.mode is SearchMode.SEMANTIC:
        return await meanings.of([query.text]), ""
    try:
        return await meanings.soon([query.text], SEARCHING), ""
    except CaxtonError as error:
        return [], f"Only words were searched for: {error.message}"


def _fused(worded: Sequence[str], near: Sequence[str]) -> dict[str, float]:
    ids = list(dict.fromkeys([*worded, *near]))
    places = {id: place for place, id in enumerate(ids)}
    ranked = fused([[places[id] for id in worded], [places[id] for id in near]])
    return {ids[place]: score for place, score in ranked.items()}
