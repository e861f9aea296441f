"""What Qdrant finds: by words, and by meaning."""

from collections.abc import Sequence

from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, SearchMode, Vector
from caxton.domain.ports.clock import Clock
from caxton.memory import points
from caxton.memory.collection import Collection
from caxton.memory.hybrid import MOST
from caxton.memory.meanings import Meanings
from caxton.memory.tokens import asked, tokens


class QdrantFinder:
    """Implements `hybrid.Finder` over a collection."""

    def __init__(self, collection: Collection, meanings: Meanings, clock: Clock) -> None:
        self._points = collection
        self._meanings = meanings
        self._clock = clock

    async def by_words(self, query: MemoryQuery, limit: int) -> list[MemoryEntry]:
        words, phrases = asked(query.text)
        if not words:
            return []
        exact = query.mode is SearchMode.EXACT
        wanted = [points.equals("words", word) for word in words] if exact else [points.one_of("words", words)]
        chosen = points.meant(query.filter, self._clock.now(), *wanted)
        vector = points.sparse(words, query=True)
        found = await self._points.nearest(vector, points.WORDS, chosen, MOST if exact and phrases else limit)
        payloads = [payload for payload, _ in found]
        if exact:
            payloads = [one for one in payloads if all(_has(one["searched"], phrase) for phrase in phrases)]
        return [points.entry_from(one) for one in payloads[:limit]]

    async def near(self, vector: Vector, filter: MemoryFilter, limit: int) -> list[tuple[MemoryEntry, float]]:
        chosen = points.meant(filter, self._clock.now(), points.equals("model", self._meanings.model))
        found = await self._points.nearest(list(vector), points.MEANING, chosen, limit)
        return [(points.entry_from(payload), score) for payload, score in found]


def _has(text: str, phrase: Sequence[str]) -> bool:
    words, length = tokens(text), len(phrase)
    return any(words[first : first + length] == list(phrase) for first in range(len(words) - length + 1))
