"""Memory in the embedded database: text, words, vector and relations of an entry in one file and one transaction."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from caxton.domain.errors import CaxtonError
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.memory import (
    MemoryEntry,
    MemoryFilter,
    MemoryHit,
    MemoryLimits,
    MemoryQuery,
    MemoryRecord,
    MemorySpace,
    MemoryStats,
    NewMemory,
    Related,
    Relation,
    SearchMode,
    SearchResult,
)
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database, Session
from caxton.domain.ports.memory import Embedder
from caxton.memory import checks, entries, relations, rows
from caxton.memory.filters import in_spaces, space_ids
from caxton.memory.hybrid import MOST, meaning
from caxton.memory.keeper import Keeper
from caxton.memory.meanings import STORING, Meanings, packed, recorded_dimension
from caxton.memory.pages import Unsaved
from caxton.memory.search import Meaning, Search, by_words
from caxton.memory.tables import Tables
from caxton.memory.vectors import VectorSearch

EXPORTED = 500
"""Entries read together for an export."""

HELD = "SELECT total(entries), total(bytes), count(*) FROM memory_spaces AS s WHERE {spaces}"
EMBEDDED = "SELECT total(vectors) FROM memory_indexes AS i WHERE model = ? AND {spaces}"
STALE = "UPDATE memory_models SET stale = (SELECT max(number) FROM memory_vectors) WHERE id = ?"


class SqliteMemory:
    """Implements `ports.memory.Memory`; made by `open_sqlite_memory`."""

    def __init__(
        self,
        database: Database,
        meanings: Meanings,
        vectors: VectorSearch,
        keeper: Keeper,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._meanings = meanings
        self._vectors = vectors
        self._keeper = keeper
        self._clock = clock
        self._new_id = new_id

    async def remember(
        self, space: MemorySpace, new: Sequence[NewMemory], *, limits: MemoryLimits | None = None
    ) -> list[MemoryEntry]:
        checks.check_space(space)
        limits = limits or MemoryLimits()
        checks.check_limits(limits)
        given = [checks.prepared(one) for one in new]
        failing = bool(self._meanings.error)
        vectors = await self._vectors_of([one.searched for one in given])
        now = self._clock.now()
        made = [entries.new_entry(self._new_id(), space, one, now) for one in given]

        def work(session: Session) -> list[MemoryEntry]:
            model = self._meanings.record(session) if vectors else 0
            stored: dict[int, MemoryEntry] = {}
            for number, (entry, one) in enumerate(zip(made, given, strict=True)):
                seq, home, stored_as = rows.put(session, entry, one)
                if vectors:
                    rows.put_vector(session, seq, home, model, vectors[number])
                stored[seq] = stored_as
            if stored:
                rows.trim(session, home, limits, now, spare=stored)
            return list(stored.values())

        stored = await self._database.write(work)
        if vectors is None and not failing:
            self._keeper.wake()
        return stored

    async def get(self, space: MemorySpace, key: str) -> MemoryEntry | None:
        return self._database.read(lambda session: entries.get(session, space, key, self._clock.now()))

    async def newest(self, filter: MemoryFilter, *, limit: int, before: str | None = None) -> list[MemoryEntry]:
        now = self._clock.now()
        return await self._database.scan(lambda session: entries.newest(session, filter, now, limit, before))

    async def search(self, query: MemoryQuery) -> SearchResult:
        checks.check_text("query", query.text)
        if not 1 <= query.limit <= MOST:
            raise checks.invalid(f"A search gives 1 to {MOST} entries; {query.limit!r} were asked for.")
        now = self._clock.now()
        worded, (vectors, warning) = await asyncio.gather(self._worded(query, now), meaning(self._meanings, query))

        def work(session: Session) -> tuple[list[MemoryHit], list[Unsaved]]:
            model = self._meanings.id(session)
            meant = Meaning(model, vectors[0]) if vectors and model is not None else None
            search = Search(session, query, self._vectors, now)
            return search.hits(worded, meant), search.unsaved

        hits, unsaved = await self._database.scan(work)
        self._keeper.keep(unsaved)
        return SearchResult(hits=tuple(hits), warning=warning)

    async def used(self, ids: Sequence[str]) -> None:
        await self._database.write(partial(entries.used, ids=ids, now=self._clock.now()))

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        now = self._clock.now()
        await self._database.write(lambda session: relations.relate(session, spaces, source, kind, target, now))

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        now = self._clock.now()
        return await self._database.write(
            lambda session: relations.unrelate(session, spaces, source, kind, target, now)
        )

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        now = self._clock.now()
        return await self._database.scan(
            lambda session: relations.related(session, spaces, id, hops=hops, kinds=kinds, limit=limit, now=now)
        )

    async def forget(self, filter: MemoryFilter) -> int:
        now = self._clock.now()
        return await self._database.write(lambda session: entries.forget(session, filter, now))

    async def export(self, filter: MemoryFilter) -> AsyncIterator[MemoryRecord]:
        now, after = self._clock.now(), 0
        edges: list[Relation] = []
        exported: set[str] = set()
        while True:
            page = await self._database.scan(partial(entries.page, filter=filter, now=now, after=after, limit=EXPORTED))
            for entry in page.entries:
                exported.add(entry.id)
                yield entry
            edges += page.relations
            if page.after is None:
                break
            after = page.after
        for edge in edges:
            if edge.target in exported:
                yield edge

    async def restore(self, records: Iterable[MemoryRecord]) -> int:
        given = entries.checked(records)
        new = await self._database.write(lambda session: entries.restore(session, given))
        self._keeper.wake()
        return new

    async def trim(self, space: MemorySpace, limits: MemoryLimits) -> int:
        checks.check_limits(limits)
        now = self._clock.now()

        def work(session: Session) -> int:
            return sum(rows.trim(session, id, limits, now) for id in space_ids(session, [space]))

        return await self._database.write(work)

    async def stats(self, spaces: Sequence[MemorySpace] | None = None) -> MemoryStats:
        return await self._database.scan(lambda session: self._stats(session, spaces))

    async def reindex(self) -> None:
        self._meanings.accept_any()

        def work(session: Session) -> None:
            if (model := self._meanings.id(session)) is not None:
                session.execute(STALE, (model,))

        await self._database.write(work)
        self._keeper.wake()

    async def settle(self) -> None:
        """Wait until everything is done that is otherwise done in the background; CaxtonError where it fails."""
        await self._keeper.round()

    def health(self) -> ComponentHealth:
        status = HealthStatus.DEGRADED if self._meanings.error else HealthStatus.OK
        return ComponentHealth(name="memory", status=status, detail=self._meanings.error or self._meanings.model)

    async def _vectors_of(self, texts: Sequence[str]) -> list[bytes] | None:
        """Vectors as they are stored, None where the embedder has none; the entries then wait for theirs."""
        try:
            return [packed(vector) for vector in await self._meanings.soon(texts, STORING * max(1, len(texts)))]
        except CaxtonError:
            return None

    async def _worded(self, query: MemoryQuery, now: float) -> list[int]:
        if query.mode is SearchMode.SEMANTIC:
            return []
        return await self._database.scan(lambda session: by_words(session, query, now))

    def _stats(self, session: Session, spaces: Sequence[MemorySpace] | None) -> MemoryStats:
        ids = None if spaces is None else space_ids(session, spaces)
        ((held, bytes_, number),) = session.execute(HELD.format(spaces=in_spaces("s.id", ids)))
        model = self._meanings.id(session)
        ((embedded,),) = session.execute(EMBEDDED.format(spaces=in_spaces("i.space", ids)), (model,))
        # While everything is embedded anew, what is done of it is known of the whole only.
        pending = self._keeper.pending(session) if ids is None else int(held - embedded)
        return MemoryStats(
            entries=int(held),
            bytes=int(bytes_),
            spaces=number,
            embedded=int(held) - pending,
            pending=pending,
            model=self._meanings.model,
            dimension=self._meanings.dimension,
            error=self._meanings.error,
        )


@asynccontextmanager
async def open_sqlite_memory(
    database: Database, embedder: Embedder, *, clock: Clock, new_id: Callable[[], str], tables: Tables | None = None
) -> AsyncIterator[SqliteMemory]:
    """The memory in `database`, with what it does in the background, until the end of the block.

    The embedder stays the caller's. Entries that an earlier model embedded are embedded anew, in the background.
    """
    # What is forgotten is to be gone from the file, not only from its tables. The setting is the connection's.
    await database.write(lambda session: session.execute("PRAGMA secure_delete = ON"))
    meanings = Meanings(embedder, database.read(lambda session: recorded_dimension(session, embedder.model)))
    keeper = Keeper(database, meanings, clock)
    memory = SqliteMemory(database, meanings, VectorSearch(tables or Tables()), keeper, clock, new_id)
    running = asyncio.create_task(keeper.run(), name="memory upkeep")
    try:
        yield memory
    finally:
        running.cancel()
        await asyncio.wait([running])
