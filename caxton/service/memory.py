"""The operations on what agents remember."""

from collections.abc import AsyncGenerator
from typing import TypedDict, Unpack

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, MemorySpace, MemoryStats, NewMemory, SearchMode
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.memory import Memory
from caxton.service.api.memory import (
    AddMemory,
    Exported,
    ExportEvent,
    Forgotten,
    Imported,
    ImportMemory,
    MemoryHits,
    MemoryList,
)


class Conditions(TypedDict, total=False):
    """The fields of `FilterQuery`."""

    scope: MemoryScope | None
    owner: str | None
    key: str | None
    tag: str | None
    subject: str | None


class MemoryService:
    """One method an operation of `service.api.memory`, and `stream` for the streamed form of `export`."""

    def __init__(self, *, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    async def list(self, *, limit: int = 50, before: str | None = None, **conditions: Unpack[Conditions]) -> MemoryList:
        entries = await self._memory.newest(_filter(conditions), limit=limit, before=before)
        return MemoryList(entries=entries, next=entries[-1].id if len(entries) == limit else None)

    async def add(self, *, body: AddMemory) -> MemoryEntry:
        new = NewMemory(
            value=body.value,
            key=body.key,
            tags=body.tags,
            importance=body.importance,
            subject=body.subject,
            expires_at=self._clock.now() + body.expires_in if body.expires_in is not None else None,
        )
        [entry] = await self._memory.remember(_space(body.scope, body.owner), [new])
        return entry

    async def show(self, *, id: str) -> MemoryEntry:
        found = await self._memory.newest(MemoryFilter(spaces=None, ids=(id,), expired=True), limit=1)
        if not found:
            raise CaxtonError(Code.MEMORY_NOT_FOUND, f"Nothing is remembered under the id {id!r}.")
        return found[0]

    async def search(
        self,
        *,
        text: str,
        mode: SearchMode = SearchMode.HYBRID,
        limit: int = 10,
        **conditions: Unpack[Conditions],
    ) -> MemoryHits:
        query = MemoryQuery(text=text, filter=_filter(conditions), mode=mode, limit=limit)
        result = await self._memory.search(query)
        return MemoryHits(hits=[*result.hits], warning=result.warning)

    async def forget(self, *, id: str | None = None, all: bool = False, **conditions: Unpack[Conditions]) -> Forgotten:
        wanted = _filter(conditions)
        if id is not None:
            wanted = msgspec.structs.replace(wanted, ids=(id,))
        if wanted == MemoryFilter(spaces=None) and not all:
            raise CaxtonError(
                Code.PARAMETER_INVALID,
                "Nothing says what is to be forgotten.",
                hint="Give a condition, or say `all=true` to erase the memory of every agent.",
            )
        return Forgotten(entries=await self._memory.forget(wanted))

    async def export(self, **conditions: Unpack[Conditions]) -> Exported:
        records = [record async for record in self._memory.export(_filter(conditions))]
        return Exported(count=len(records), records=records)

    async def stream(self, **conditions: Unpack[Conditions]) -> AsyncGenerator[ExportEvent]:
        count = 0
        async for record in self._memory.export(_filter(conditions)):
            count += 1
            yield record
        yield Exported(count=count)

    async def restore(self, *, body: ImportMemory) -> Imported:
        return Imported(records=await self._memory.restore(body.records))

    async def stats(self, *, scope: MemoryScope | None = None, owner: str | None = None) -> MemoryStats:
        return await self._memory.stats(None if scope is None else (_space(scope, owner or ""),))

    async def reindex(self) -> MemoryStats:
        await self._memory.reindex()
        return await self._memory.stats()


def _space(scope: MemoryScope, owner: str) -> MemorySpace:
    if bool(owner) is (scope is MemoryScope.GLOBAL):
        raise CaxtonError(
            Code.PARAMETER_INVALID,
            f"The scope {scope.value!r} {'has no owner' if owner else 'needs an owner'}.",
            hint="The owner is the agent's or the workspace's name, or the conversation's id.",
        )
    return MemorySpace(scope=scope, owner=owner)


def _filter(conditions: Conditions) -> MemoryFilter:
    scope, owner, tag = conditions.get("scope"), conditions.get("owner"), conditions.get("tag")
    if owner and scope is None:
        raise CaxtonError(Code.PARAMETER_INVALID, "An owner is given without the scope.", hint="Add `scope=agent`.")
    return MemoryFilter(
        spaces=None if scope is None else (_space(scope, owner or ""),),
        key=conditions.get("key"),
        tags=(tag,) if tag else (),
        subject=conditions.get("subject"),
    )
