"""Memory in Qdrant: entries, words, vectors and relations as points of one collection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec
from qdrant_client import AsyncQdrantClient, models

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth, HealthStatus
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
    Relation,
    SearchResult,
    Vector,
)
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.memory import Embedder
from caxton.memory import checks, points
from caxton.memory.collection import Collection
from caxton.memory.entries import as_new, checked, ends, new_entry
from caxton.memory.hybrid import searched
from caxton.memory.meanings import STORING, Meanings
from caxton.memory.qdrant_graph import Graph
from caxton.memory.qdrant_search import QdrantFinder
from caxton.memory.tokens import order_of
from caxton.memory.upkeep import Upkeep

TOGETHER, EXPORTED = 64, 500
"""Entries embedded together, and those read and written together."""


class QdrantMemory:
    """Implements `ports.memory.Memory`; made by `open_qdrant_memory`. One process writes, as Caxton does."""

    def __init__(self, collection: Collection, embedder: Embedder, clock: Clock, new_id: Callable[[], str]) -> None:
        self._points = collection
        self._meanings = Meanings(embedder, None)
        self._clock = clock
        self._new_id = new_id
        self.upkeep = Upkeep(self.settle, clock)
        self._finder = QdrantFinder(collection, self._meanings, clock)
        self._graph = Graph(collection, clock)
        self._writing = asyncio.Lock()
        self._rounds = asyncio.Lock()

    async def remember(
        self, space: MemorySpace, new: Sequence[NewMemory], *, limits: MemoryLimits | None = None
    ) -> list[MemoryEntry]:
        checks.check_space(space)
        limits = limits or MemoryLimits()
        checks.check_limits(limits)
        now = self._clock.now()
        given = [checks.prepared(one) for one in new]
        return await self.store([new_entry(self._new_id(), space, one, now) for one in given], limits)

    async def store(self, entries: Sequence[MemoryEntry], limits: MemoryLimits) -> list[MemoryEntry]:
        """What `remember` does, with entries of one space that have their ids. Repeating it changes nothing."""
        if not entries:
            return []
        space = entries[0].space
        given = [checks.prepared(as_new(entry)) for entry in entries]
        failing = bool(self._meanings.error)
        vectors = await self._vectors_of([one.searched for one in given])
        async with self._writing:
            await self._ready()
            keys = [entry.key for entry in entries if entry.key is not None]
            known = {entry.key: entry for entry in await self._keyed(space, keys)} if keys else {}
            made: dict[str, models.PointStruct] = {}
            stored: dict[str, MemoryEntry] = {}
            for number, (entry, one) in enumerate(zip(entries, given, strict=True)):
                if old := known.get(entry.key) if entry.key is not None else None:
                    entry = msgspec.structs.replace(entry, id=old.id, created_at=old.created_at)
                known[entry.key] = stored[entry.id] = entry
                vector = vectors[number] if vectors else None
                made[entry.id] = points.entry_point(entry, one, vector, self._meanings.model)
            await self._points.put(list(made.values()))
            await self._trim(space, limits, spare=set(stored))
        if vectors is None and not failing:
            self.upkeep.wake()
        return list(stored.values())

    async def get(self, space: MemorySpace, key: str) -> MemoryEntry | None:
        found = await self._keyed(space, [key], expired=False)
        return found[0] if found else None

    async def newest(self, filter: MemoryFilter, *, limit: int, before: str | None = None) -> list[MemoryEntry]:
        start = None
        if before is not None:
            known = await self._points.of_ids([before], self._clock.now())
            if not known:
                return []
            start = order_of(known[0])
        chosen = points.meant(filter, self._clock.now())
        found = await self._points.ordered(chosen, limit=limit, start=start, descending=True)
        return [points.entry_from(one) for one in found]

    async def search(self, query: MemoryQuery) -> SearchResult:
        return await searched(self._finder, self._meanings, query)

    async def used(self, ids: Sequence[str]) -> None:
        if ids and await self._points.there():
            await self._points.change({"used_at": self._clock.now()}, points.meant(_these(ids), 0.0))

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        async with self._writing:
            await self._graph.relate(spaces, source, kind, target)

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        async with self._writing:
            return await self._graph.unrelate(spaces, source, kind, target)

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        return await self._graph.related(spaces, id, hops=hops, kinds=kinds, limit=limit)

    async def forget(self, filter: MemoryFilter) -> int:
        async with self._writing:
            chosen = points.meant(filter, self._clock.now())
            return await self._delete([one["id"] async for one in self._points.all(chosen, ("id",))])

    async def export(self, filter: MemoryFilter) -> AsyncIterator[MemoryRecord]:
        chosen = points.meant(filter, self._clock.now())
        exported: list[str] = []
        start: int | None = None
        while page := await self._points.ordered(chosen, limit=EXPORTED, start=start):
            for payload in page:
                exported.append(payload["id"])
                yield points.entry_from(payload)
            start = page[-1]["order"]
        ids = set(exported)
        for first in range(0, len(exported), EXPORTED):
            edges = models.Filter(
                must=[
                    points.equals("kind", points.RELATION),
                    points.one_of("source", exported[first : first + EXPORTED]),
                ]
            )
            found = [points.relation_from(one) async for one in self._points.all(edges)]
            for edge in sorted(found, key=lambda one: (one.source, one.kind, one.target)):
                if edge.target in ids:
                    yield edge

    async def restore(self, records: Iterable[MemoryRecord]) -> int:
        given = checked(records)
        async with self._writing:
            await self._ready()
            known = {entry.id for entry in await self._points.of_ids(ends(given), self._clock.now())}
            made: dict[str, models.PointStruct] = {}
            taken: set[tuple[MemorySpace, str]] = set()
            for record, fit in given:
                if isinstance(record, Relation):
                    new = {record.source, record.target} <= known and not await self._points.count(points.at(record))
                    if new:
                        made[points.relation_id(record)] = points.relation_point(record)
                elif fit and record.id not in known:
                    place = (record.space, record.key) if record.key is not None else None
                    if place and (place in taken or await self._keyed(record.space, [place[1]])):
                        continue
                    taken |= {place} if place else set()
                    known.add(record.id)
                    made[record.id] = points.entry_point(record, fit, None, self._meanings.model)
            for first in range(0, len(made), EXPORTED):
                await self._points.put(list(made.values())[first : first + EXPORTED])
        self.upkeep.wake()
        return len(made)

    async def trim(self, space: MemorySpace, limits: MemoryLimits) -> int:
        checks.check_limits(limits)
        async with self._writing:
            return await self._trim(space, limits)

    async def stats(self, spaces: Sequence[MemorySpace] | None = None) -> MemoryStats:
        filter = MemoryFilter(spaces=None if spaces is None else tuple(spaces), expired=True)
        chosen = points.meant(filter, 0.0)
        held = [one async for one in self._points.all(chosen, ("space", "size", "model", "stale"))]
        pending = sum(one["model"] != self._meanings.model or one["stale"] for one in held)
        return MemoryStats(
            entries=len(held),
            bytes=sum(one["size"] for one in held),
            spaces=len({one["space"] for one in held}),
            embedded=len(held) - pending,
            pending=pending,
            model=self._meanings.model,
            dimension=self._meanings.dimension,
            error=self._meanings.error or self.upkeep.error,
        )

    async def reindex(self) -> None:
        if await self._points.there():
            await self._points.change({"stale": True}, points.meant(MemoryFilter(spaces=None, expired=True), 0.0))
        self.upkeep.wake()

    async def settle(self) -> None:
        async with self._rounds:
            await self._sweep()
            await self._embed()

    def health(self) -> ComponentHealth:
        detail = self._meanings.error or self.upkeep.error
        status = HealthStatus.DEGRADED if detail else HealthStatus.OK
        return ComponentHealth(name="memory", status=status, detail=detail or f"{self._meanings.model} in Qdrant")

    async def _ready(self) -> None:
        """The collection made, and fit for the model's vectors."""
        if not await self._points.there():
            if self._meanings.dimension is None:
                await self._meanings.of(["how many numbers"])
            await self._points.make(self._meanings.dimension or 0)
        if self._meanings.dimension not in (None, self._points.dimension):
            raise CaxtonError(
                Code.EMBEDDING_INVALID,
                f"The collection in Qdrant has vectors of {self._points.dimension} numbers; those of"
                f" {self._meanings.model!r} have {self._meanings.dimension}.",
                hint="Name another `collection` in `[memory]`, and import an export of this one there.",
            )

    async def _vectors_of(self, texts: Sequence[str]) -> list[Vector] | None:
        try:
            return await self._meanings.soon(texts, STORING * len(texts))
        except CaxtonError:
            return None

    async def _keyed(self, space: MemorySpace, keys: Sequence[str], *, expired: bool = True) -> list[MemoryEntry]:
        filter = MemoryFilter(spaces=(space,), expired=expired)
        chosen = points.meant(filter, self._clock.now(), points.one_of("key", keys))
        return [points.entry_from(one) async for one in self._points.all(chosen)]

    async def _delete(self, ids: Sequence[str]) -> int:
        for first in range(0, len(ids), EXPORTED):
            some = list(ids[first : first + EXPORTED])
            edges = [points.one_of("source", some), points.one_of("target", some)]
            await self._points.delete(models.Filter(must=[points.equals("kind", points.RELATION)], should=edges))
            await self._points.delete(points.meant(_these(some), 0.0))
        return len(ids)

    async def _trim(self, space: MemorySpace, limits: MemoryLimits, spare: Iterable[str] = ()) -> int:
        now, spared = self._clock.now(), set(spare)
        whole = MemoryFilter(spaces=(space,), expired=True)
        doomed = [points.meant(whole, now, points.between("expires_at", lte=now))]
        if limits.max_age is not None:
            doomed.append(points.meant(msgspec.structs.replace(whole, created_until=now - limits.max_age), now))
        gone = 0
        for chosen in doomed:
            gone += await self._delete([one["id"] async for one in self._points.all(chosen, ("id",))])
        if limits.max_entries is None and limits.max_bytes is None:
            return gone
        fields = ("id", "size", "importance", "used_at", "order")
        held = [one async for one in self._points.all(points.meant(whole, now), fields)]
        too_many = len(held) - limits.max_entries if limits.max_entries is not None else 0
        too_large = sum(one["size"] for one in held) - limits.max_bytes if limits.max_bytes is not None else 0
        least: list[str] = []
        for one in sorted(held, key=lambda one: (one["importance"], one["used_at"], one["order"])):
            if (too_many > 0 or too_large > 0) and one["id"] not in spared:
                least.append(one["id"])
                too_many, too_large = too_many - 1, too_large - one["size"]
        return gone + await self._delete(least)

    async def _sweep(self) -> None:
        async with self._writing:
            now = self._clock.now()
            every = MemoryFilter(spaces=None, expired=True)
            chosen = points.meant(every, now, points.between("expires_at", lte=now))
            await self._delete([one["id"] async for one in self._points.all(chosen, ("id",))])

    async def _embed(self) -> None:
        """Give every entry that waits its vector; those that change meanwhile wait on."""
        fresh = models.Filter(must=[points.equals("model", self._meanings.model), points.equals("stale", False)])
        chosen = models.Filter(must=[points.equals("kind", points.ENTRY)], must_not=[fresh])
        waiting = [one async for one in self._points.all(chosen, ("id", "searched", "updated_at"))]
        for first in range(0, len(waiting), TOGETHER):
            some = waiting[first : first + TOGETHER]
            vectors = await self._meanings.of([one["searched"] for one in some])
            async with self._writing:
                await self._ready()
                there = await self._points.of_ids([one["id"] for one in some], self._clock.now())
                now = {entry.id: entry.updated_at for entry in there}
                done = {
                    one["id"]: vector
                    for one, vector in zip(some, vectors, strict=True)
                    if now.get(one["id"]) == one["updated_at"]
                }
                if done:
                    await self._points.vectors(
                        [
                            models.PointVectors(id=points.point_id(id), vector={points.MEANING: list(vector)})
                            for id, vector in done.items()
                        ]
                    )
                    changed = {"model": self._meanings.model, "stale": False}
                    await self._points.change(changed, points.meant(_these(list(done)), 0.0))


@asynccontextmanager
async def open_qdrant_memory(
    client: AsyncQdrantClient,
    embedder: Embedder,
    *,
    clock: Clock,
    new_id: Callable[[], str],
    collection: str = "caxton",
) -> AsyncIterator[QdrantMemory]:
    """The memory in that collection, with what it does in the background, until the end of the block.

    Client and embedder stay the caller's. A server that is not reached is told by what is asked of the memory.
    """
    memory = QdrantMemory(Collection(client, collection), embedder, clock, new_id)
    async with memory.upkeep.running():
        yield memory


def _these(ids: Sequence[str]) -> MemoryFilter:
    return MemoryFilter(spaces=None, ids=tuple(ids), expired=True)
