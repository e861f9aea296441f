"""The seams to what agents remember, and to the models that say what a text means."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from caxton.domain.health import ComponentHealth
from caxton.domain.memory import (
    MemoryEntry,
    MemoryFilter,
    MemoryLimits,
    MemoryQuery,
    MemoryRecord,
    MemorySpace,
    MemoryStats,
    NewMemory,
    Related,
    SearchResult,
    Vector,
)


class Embedder(Protocol):
    """Turns texts into vectors. Loads what it needs when first used; safe to call concurrently."""

    @property
    def model(self) -> str:
        """The model's name; vectors of different names are never compared."""
        ...

    @property
    def dimension(self) -> int | None:
        """How many numbers a vector has; None where that shows only when the model is first used."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text, in order; each depends on its text alone.

        CaxtonError `embedder_unavailable` where the model cannot be had, `embedding_invalid` where it answers wrongly.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the model."""
        ...


class Memory(Protocol):
    """Keeps entries and finds them again. Acknowledged means durable.

    An entry is stored even where it cannot be embedded: words find it at once, its meaning follows (`MemoryStats`).
    Text that no backend can hold (NUL, lone surrogates) or that is too long is CaxtonError `memory_invalid`.
    """

    async def remember(
        self, space: MemorySpace, new: Sequence[NewMemory], *, limits: MemoryLimits | None = None
    ) -> list[MemoryEntry]:
        """Store entries, all or none, then trim the space to its limits. The entry of a key known there is replaced.

        Replaced means: new in everything but its id, its relations and when it was made.
        """
        ...

    async def get(self, space: MemorySpace, key: str) -> MemoryEntry | None:
        """The entry of that key, None where there is none or it has expired."""
        ...

    async def newest(self, filter: MemoryFilter, *, limit: int, before: str | None = None) -> list[MemoryEntry]:
        """The newest `limit` entries, newest first; `before` is the id of the last one already seen."""
        ...

    async def search(self, query: MemoryQuery) -> SearchResult:
        """The entries that fit best. Without an embedder a hybrid search is by words and says so; a semantic one fails.

        Searching changes nothing: say by `used` what was made use of.
        """
        ...

    async def used(self, ids: Sequence[str]) -> None:
        """Note that these entries were of use just now; ids that are not there are passed over."""
        ...

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        """Draw an edge; one that is there already stays. `memory_not_found` unless both ends are in `spaces`."""
        ...

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        """Remove an edge whose ends are in `spaces`; whether there was one."""
        ...

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        """What edges lead to from an entry, along or against them, nearest first; no more than MAX_HOPS hops.

        Ways through entries outside `spaces` are not walked. `kinds` empty means all. `memory_not_found` where the
        entry itself is not in `spaces`.
        """
        ...

    async def forget(self, filter: MemoryFilter) -> int:
        """Delete entries with everything that hangs on them; how many. A filter that names nothing but all is fine."""
        ...

    def export(self, filter: MemoryFilter) -> AsyncIterator[MemoryRecord]:
        """Every entry meant, oldest first, and after them the relations among them."""
        ...

    async def restore(self, records: Iterable[MemoryRecord]) -> int:
        """Store exported records under their own ids; what is there already stays. How many were new.

        An entry whose key is taken by another is left out. All of one call or none of it.
        """
        ...

    async def trim(self, space: MemorySpace, limits: MemoryLimits) -> int:
        """Delete what is expired or beyond the limits; how many."""
        ...

    async def stats(self, spaces: Sequence[MemorySpace] | None = None) -> MemoryStats: ...

    async def reindex(self) -> None:
        """Begin to embed every entry anew, in the background; `stats` tells how far it is. Search goes on."""
        ...

    async def settle(self) -> None:
        """Wait until everything is done that is otherwise done in the background; CaxtonError where it fails."""
        ...

    def health(self) -> ComponentHealth: ...
