"""A memory elsewhere that may be out of reach: nothing that was to be remembered is lost meanwhile.

Out of reach, searches find nothing and say why; what is to be remembered, and what was of use, is queued in the
embedded database, acknowledged, and done in its order once the backend is back. Everything else fails with
`memory_unavailable`, so that nobody takes a wish to forget for having forgotten.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

import msgspec

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
    SearchResult,
)
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database
from caxton.domain.ports.memory import Memory
from caxton.memory import checks
from caxton.memory.entries import new_entry
from caxton.memory.meanings import SEARCHING, STORING

log = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN = 5.0
"""Seconds after which the backend is tried again."""
PATIENCE = 2.0
"""Seconds that a turn waits for the backend, beside what it waits for the embedder."""

ADD = "INSERT INTO memory_queue (work) VALUES (?)"
FIRST = "SELECT seq, work FROM memory_queue ORDER BY seq LIMIT 1"
DONE = "DELETE FROM memory_queue WHERE seq = ?"
WAITING = "SELECT count(*) FROM memory_queue"


class Stores(Memory, Protocol):
    """A memory that takes entries with their ids."""

    async def store(self, entries: Sequence[MemoryEntry], limits: MemoryLimits) -> list[MemoryEntry]:
        """What `remember` does, with entries of one space that have their ids. Repeating it changes nothing."""
        ...


class Remember(msgspec.Struct, frozen=True, kw_only=True, tag="remember"):
    """Entries to be stored, under the ids that they were acknowledged with."""

    entries: tuple[MemoryEntry, ...]
    limits: MemoryLimits


class Used(msgspec.Struct, frozen=True, kw_only=True, tag="used"):
    ids: tuple[str, ...]


decode = msgspec.json.Decoder(Remember | Used).decode


class QueuedMemory:
    """Implements `ports.memory.Memory` before another one; made by `open_queued_memory`."""

    def __init__(self, memory: Stores, database: Database, clock: Clock, new_id: Callable[[], str]) -> None:
        self._memory = memory
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._one = asyncio.Lock()
        self._error = ""
        self._stalled = False

    async def remember(
        self, space: MemorySpace, new: Sequence[NewMemory], *, limits: MemoryLimits | None = None
    ) -> list[MemoryEntry]:
        checks.check_space(space)
        checks.check_limits(limits or MemoryLimits())
        given = [checks.prepared(one) for one in new]
        now = self._clock.now()
        # Made here, so that what was stored although it seemed to fail is not there twice when it is tried again.
        entries = tuple(new_entry(self._new_id(), space, one, now) for one in given)
        work = Remember(entries=entries, limits=limits or MemoryLimits())
        try:
            return await self._soon(lambda: self._memory.store(work.entries, work.limits), STORING * len(entries))
        except CaxtonError as error:
            self._missed(error)
        await self._queue(work)
        return list(entries)

    async def get(self, space: MemorySpace, key: str) -> MemoryEntry | None:
        await self._caught_up()
        return await self._memory.get(space, key)

    async def newest(self, filter: MemoryFilter, *, limit: int, before: str | None = None) -> list[MemoryEntry]:
        await self._caught_up()
        return await self._memory.newest(filter, limit=limit, before=before)

    async def search(self, query: MemoryQuery) -> SearchResult:
        try:
            return await self._soon(lambda: self._memory.search(query), SEARCHING)
        except CaxtonError as error:
            self._missed(error)
            return SearchResult(hits=(), warning=f"Nothing was searched: {error.message}")

    async def used(self, ids: Sequence[str]) -> None:
        try:
            await self._soon(lambda: self._memory.used(ids))
        except CaxtonError as error:
            self._missed(error)
            await self._queue(Used(ids=tuple(ids)))

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        await self._caught_up()
        await self._memory.relate(spaces, source, kind, target)

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        await self._caught_up()
        return await self._memory.unrelate(spaces, source, kind, target)

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        await self._caught_up()
        return await self._memory.related(spaces, id, hops=hops, kinds=kinds, limit=limit)

    async def forget(self, filter: MemoryFilter) -> int:
        await self._caught_up()
        return await self._memory.forget(filter)

    async def export(self, filter: MemoryFilter) -> AsyncIterator[MemoryRecord]:
        await self._caught_up()
        async for record in self._memory.export(filter):
            yield record

    async def restore(self, records: Iterable[MemoryRecord]) -> int:
        await self._caught_up()
        return await self._memory.restore(records)

    async def trim(self, space: MemorySpace, limits: MemoryLimits) -> int:
        await self._caught_up()
        return await self._memory.trim(space, limits)

    async def stats(self, spaces: Sequence[MemorySpace] | None = None) -> MemoryStats:
        try:
            await self._caught_up()
            return await self._memory.stats(spaces)
        except CaxtonError as error:
            self._missed(error)
            model = self._memory.health().detail
            error_ = f"{error.message} Queued meanwhile: {self._waiting()}."
            return MemoryStats(
                entries=0, bytes=0, spaces=0, embedded=0, pending=0, model=model, dimension=None, error=error_
            )

    async def reindex(self) -> None:
        await self._caught_up()
        await self._memory.reindex()

    async def settle(self) -> None:
        await self._caught_up()
        await self._memory.settle()

    def health(self) -> ComponentHealth:
        waiting = self._waiting()
        if not (self._error or waiting):
            return self._memory.health()
        detail = f"{self._error} Queued: {waiting}.".strip()
        return ComponentHealth(name="memory", status=HealthStatus.DEGRADED, detail=detail)

    async def keep(self) -> None:
        """Try what is queued again and again, until cancelled."""
        while True:
            try:
                await self._caught_up()
                if self._error:
                    await self._memory.newest(MemoryFilter(spaces=None), limit=1)
                    log.warning("the memory is reached again")
                self._error = ""
                self._stalled = False
            except CaxtonError as error:
                self._error = error.message
            await self._clock.sleep(AGAIN)

    def _waiting(self) -> int:
        ((count,),) = self._database.read(lambda session: session.execute(WAITING))
        return int(count)

    def _missed(self, error: CaxtonError) -> None:
        """Note that the backend is out of reach; any other error is raised again."""
        if error.code is not Code.MEMORY_UNAVAILABLE:
            raise error
        if not self._error:
            log.warning("agents are without their memory, what they are told is queued: %s %s", error, error.why)
        self._error = error.message

    async def _soon(self, ask: Callable[[], Awaitable[T]], more: float = 0.0) -> T:
        """What the backend answers, once it has caught up; `memory_unavailable` where that takes longer than PATIENCE.

        It is not waited for again before it has answered in the background: storing goes by the queue until then.
        """
        if self._stalled:
            raise _stalled()
        try:
            async with asyncio.timeout(PATIENCE + more) as deadline:
                await self._caught_up()
                return await ask()
        except TimeoutError:
            if not deadline.expired():
                raise
            self._stalled = True
            raise _stalled() from None

    async def _queue(self, work: Remember | Used) -> None:
        encoded = msgspec.json.encode(work)
        await self._database.write(lambda session: session.execute(ADD, (encoded,)))

    async def _caught_up(self) -> None:
        """Do what is queued, in its order; nothing is done before what came earlier."""
        if not self._waiting():
            return
        async with self._one:
            while rows := self._database.read(lambda session: session.execute(FIRST)):
                seq, encoded = rows[0]
                await self._do(decode(encoded))
                await self._database.write(lambda session, seq=seq: session.execute(DONE, (seq,)))  # type: ignore[misc]
        log.warning("what was to be remembered while the memory could not be reached is stored")

    async def _do(self, work: Remember | Used) -> None:
        """Done twice, as after a crash in between, it changes nothing more."""
        if isinstance(work, Used):
            await self._memory.used(work.ids)
            return
        await self._memory.store(work.entries, work.limits)


@asynccontextmanager
async def open_queued_memory(
    memory: Stores, database: Database, *, clock: Clock, new_id: Callable[[], str]
) -> AsyncIterator[QueuedMemory]:
    """`memory` with a queue in `database`, worked off in the background until the end of the block."""
    queued = QueuedMemory(memory, database, clock, new_id)
    running = asyncio.create_task(queued.keep(), name="memory queue")
    try:
        yield queued
    finally:
        running.cancel()
        await asyncio.wait([running])


def _stalled() -> CaxtonError:
    return CaxtonError(Code.MEMORY_UNAVAILABLE, "The memory is too slow: what is told to agents goes by the queue.")
