"""Memory in Neo4j: entries as nodes, relations as relationships, words and vectors in its own indexes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec
from neo4j import AsyncDriver

from caxton.domain.errors import CaxtonError
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
from caxton.memory import checks
from caxton.memory.entries import as_new, checked, ends, new_entry
from caxton.memory.hybrid import searched
from caxton.memory.meanings import STORING, Meanings
from caxton.memory.neo4j_graph import Graph
from caxton.memory.neo4j_search import Neo4jFinder
from caxton.memory.neo4j_server import Server, Statement
from caxton.memory.nodes import ENTRY, IN_ORDER, Values, entry_from, node_from, where
from caxton.memory.tokens import order_of, space_name
from caxton.memory.upkeep import Upkeep

TOGETHER, EXPORTED = 64, 500
"""Entries embedded together, and those read together."""
LEAST = 256
"""Entries looked at together when a space is over its limits."""

RECORDED = "MATCH (m:`LABEL`) WHERE m.model = $model AND NOT m.stale RETURN m.dimension AS dimension LIMIT 1"
FIND = f"MATCH (m:`LABEL`) WHERE CONDITION RETURN {ENTRY} AS entry ORDER BY {IN_ORDER} LIMIT $limit"
NEWEST = f"MATCH (m:`LABEL`) WHERE CONDITION RETURN {ENTRY} AS entry ORDER BY m.order DESC, m.id DESC LIMIT $limit"
BEFORE = "(m.order < $order OR (m.order = $order AND m.id < $id))"
AFTER = "(m.order > $order OR (m.order = $order AND m.id > $id))"
KEYED = f"MATCH (m:`LABEL`) WHERE m.space = $space AND m.key IN $keys RETURN {ENTRY} AS entry"
STORE = """
UNWIND $rows AS row
MERGE (m:`LABEL` {id: row.node.id}) SET m = row.node
SET m.vector = row.vector, m.model = row.model, m.dimension = row.dimension
"""
USED = "MATCH (m:`LABEL`) WHERE m.id IN $ids AND m.used_at < $now SET m.used_at = $now"
DELETE = "MATCH (m:`LABEL`) WHERE CONDITION DETACH DELETE m RETURN count(m) AS count"
HELD = "MATCH (m:`LABEL`) WHERE m.space = $space RETURN count(m) AS entries, sum(m.size) AS bytes"
FIRST_TO_GO = """
MATCH (m:`LABEL`) WHERE m.space = $space AND NOT m.id IN $spare
RETURN m.id AS id, m.size AS size ORDER BY m.importance, m.used_at, m.order LIMIT $limit
"""
EDGES = """
UNWIND $edges AS edge
MATCH (:`LABEL` {id: edge.source})-[:RELATED {kind: edge.kind}]->(:`LABEL` {id: edge.target})
RETURN edge.source AS source, edge.kind AS kind, edge.target AS target
"""
DRAW = """
UNWIND $edges AS edge
MATCH (one:`LABEL` {id: edge.source}), (other:`LABEL` {id: edge.target})
MERGE (one)-[drawn:RELATED {kind: edge.kind}]->(other) ON CREATE SET drawn.created_at = edge.created_at
"""
COUNTS = """
MATCH (m:`LABEL`) WHERE CONDITION
RETURN count(m) AS entries, sum(m.size) AS bytes, count(DISTINCT m.space) AS spaces,
    sum(CASE WHEN m.model = $model AND m.dimension = $dimension AND NOT m.stale THEN 1 ELSE 0 END) AS embedded
"""
STALE = "MATCH (m:`LABEL`) SET m.stale = true"
WAITING = """
MATCH (m:`LABEL`) WHERE m.model IS NULL OR m.model <> $model OR m.dimension <> $dimension OR m.stale
RETURN m.id AS id, m.searched AS searched, m.updated_at AS updated_at ORDER BY m.order LIMIT $limit
"""
EMBEDDED = """
UNWIND $rows AS row
MATCH (m:`LABEL` {id: row.id}) WHERE m.updated_at = row.updated_at
SET m.vector = row.vector, m.model = $model, m.dimension = $dimension, m.stale = false
"""


class Neo4jMemory:
    """Implements `ports.memory.Memory`; made by `open_neo4j_memory`. One process writes, as Caxton does."""

    def __init__(self, server: Server, embedder: Embedder, clock: Clock, new_id: Callable[[], str]) -> None:
        self._server = server
        self._meanings = Meanings(embedder, None)
        self._clock = clock
        self._new_id = new_id
        self.upkeep = Upkeep(self.settle, clock)
        self._finder = Neo4jFinder(server, self._meanings, clock)
        self._graph = Graph(server, clock)
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
            keys = [entry.key for entry in entries if entry.key is not None]
            known = {entry.key: entry for entry in await self._keyed(space, keys)} if keys else {}
            rows: dict[str, Values] = {}
            stored: dict[str, MemoryEntry] = {}
            for number, (entry, one) in enumerate(zip(entries, given, strict=True)):
                if old := known.get(entry.key) if entry.key is not None else None:
                    entry = msgspec.structs.replace(entry, id=old.id, created_at=old.created_at)
                known[entry.key] = stored[entry.id] = entry
                rows[entry.id] = self._row(node_from(entry, one), vectors[number] if vectors else None)
            await self._server.change(Statement(STORE, {"rows": list(rows.values())}))
            await self._trim(space, limits, spare=list(stored))
        if vectors is None and not failing:
            self.upkeep.wake()
        return list(stored.values())

    async def get(self, space: MemorySpace, key: str) -> MemoryEntry | None:
        found = await self._find(MemoryFilter(spaces=(space,), key=key), limit=1)
        return found[0] if found else None

    async def newest(self, filter: MemoryFilter, *, limit: int, before: str | None = None) -> list[MemoryEntry]:
        place: Values = {}
        if before is not None:
            if not (known := await self._find(_these([before]), limit=1)):
                return []
            place = {"order": order_of(known[0]), "id": before}
        meant = where(filter, self._clock.now(), *([BEFORE] if place else []))
        return _entries(await self._server.ask(meant.of(NEWEST), {**meant.values, **place, "limit": limit}))

    async def search(self, query: MemoryQuery) -> SearchResult:
        return await searched(self._finder, self._meanings, query)

    async def used(self, ids: Sequence[str]) -> None:
        if ids:
            await self._server.change(Statement(USED, {"ids": list(ids), "now": self._clock.now()}))

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
            return await self._delete(filter)

    async def export(self, filter: MemoryFilter) -> AsyncIterator[MemoryRecord]:
        exported: list[str] = []
        place: Values = {"order": -1, "id": ""}
        meant = where(filter, self._clock.now(), AFTER)
        while page := await self._server.ask(meant.of(FIND), {**meant.values, **place, "limit": EXPORTED}):
            entries = _entries(page)
            for entry in entries:
                exported.append(entry.id)
                yield entry
            place = {"order": order_of(entries[-1]), "id": entries[-1].id}
        ids = set(exported)
        for first in range(0, len(exported), EXPORTED):
            for edge in await self._graph.leaving(exported[first : first + EXPORTED]):
                if edge.target in ids:
                    yield edge

    async def restore(self, records: Iterable[MemoryRecord]) -> int:
        given = checked(records)
        async with self._writing:
            asked = ends(given)
            known = {entry.id for entry in await self._find(_these(asked), limit=len(asked))}
            taken = await self._taken([record for record, fit in given if fit and isinstance(record, MemoryEntry)])
            rows: list[Values] = []
            edges: dict[tuple[str, str, str], Values] = {}
            for record, fit in given:
                if isinstance(record, Relation):
                    if {record.source, record.target} <= known:
                        edges[_ends(record)] = msgspec.structs.asdict(record)
                elif fit and record.id not in known and (record.space, record.key) not in taken:
                    known.add(record.id)
                    taken |= {(record.space, record.key)} if record.key is not None else set()
                    rows.append(self._row(node_from(record, fit), None))
            for row in await self._server.ask(EDGES, {"edges": list(edges.values())}):
                del edges[row["source"], row["kind"], row["target"]]
            if rows or edges:
                drawn = {"edges": list(edges.values())}
                await self._server.change(Statement(STORE, {"rows": rows}), Statement(DRAW, drawn))
        self.upkeep.wake()
        return len(rows) + len(edges)

    async def trim(self, space: MemorySpace, limits: MemoryLimits) -> int:
        checks.check_limits(limits)
        async with self._writing:
            return await self._trim(space, limits)

    async def stats(self, spaces: Sequence[MemorySpace] | None = None) -> MemoryStats:
        await self._recall_dimension()
        filter = MemoryFilter(spaces=None if spaces is None else tuple(spaces), expired=True)
        meant = where(filter, self._clock.now())
        (held,) = await self._server.ask(meant.of(COUNTS), {**meant.values, **self._model()})
        return MemoryStats(
            entries=held["entries"],
            bytes=int(held["bytes"]),
            spaces=held["spaces"],
            embedded=int(held["embedded"]),
            pending=held["entries"] - int(held["embedded"]),
            model=self._meanings.model,
            dimension=self._meanings.dimension,
            error=self._meanings.error or self.upkeep.error,
        )

    async def reindex(self) -> None:
        self._meanings.accept_any()
        await self._server.change(Statement(STALE, {}))
        self.upkeep.wake()

    async def settle(self) -> None:
        async with self._rounds:
            async with self._writing:
                expired = where(MemoryFilter(spaces=None, expired=True), self._clock.now(), "m.expires_at <= $now")
                await self._server.change(Statement(expired.of(DELETE), expired.values))
            while await self._embed():
                pass

    def health(self) -> ComponentHealth:
        detail = self._meanings.error or self.upkeep.error
        status = HealthStatus.DEGRADED if detail else HealthStatus.OK
        return ComponentHealth(name="memory", status=status, detail=detail or f"{self._meanings.model} in Neo4j")

    def _model(self) -> Values:
        return {"model": self._meanings.model, "dimension": self._meanings.dimension}

    def _row(self, node: Values, vector: Sequence[float] | None) -> Values:
        model = self._model() if vector is not None else {"model": None, "dimension": None}
        return {"node": node, "vector": None if vector is None else list(vector), **model}

    async def _recall_dimension(self) -> None:
        """Learn from what is stored how long the model's vectors are, where the embedder does not say so before use."""
        if self._meanings.dimension is None:
            rows = await self._server.ask(RECORDED, {"model": self._meanings.model})
            self._meanings.dimension = rows[0]["dimension"] if rows else None

    async def _vectors_of(self, texts: Sequence[str]) -> list[Vector] | None:
        await self._recall_dimension()
        try:
            vectors = await self._meanings.soon(texts, STORING * len(texts))
        except CaxtonError:
            return None
        await self._server.fit(len(vectors[0]))
        return vectors

    async def _find(self, filter: MemoryFilter, *, limit: int) -> list[MemoryEntry]:
        meant = where(filter, self._clock.now())
        return _entries(await self._server.ask(meant.of(FIND), {**meant.values, "limit": limit}))

    async def _keyed(self, space: MemorySpace, keys: Sequence[str]) -> list[MemoryEntry]:
        return _entries(await self._server.ask(KEYED, {"space": space_name(space), "keys": list(keys)}))

    async def _taken(self, entries: Sequence[MemoryEntry]) -> set[tuple[MemorySpace, str | None]]:
        """The keys of these entries that are in use in their spaces."""
        keys: dict[MemorySpace, list[str]] = {}
        for entry in entries:
            if entry.key is not None:
                keys.setdefault(entry.space, []).append(entry.key)
        return {(space, entry.key) for space, some in keys.items() for entry in await self._keyed(space, some)}

    async def _delete(self, filter: MemoryFilter, *more: str) -> int:
        meant = where(filter, self._clock.now(), *more)
        ((row,),) = await self._server.change(Statement(meant.of(DELETE), meant.values))
        return int(row["count"])

    async def _trim(self, space: MemorySpace, limits: MemoryLimits, spare: Sequence[str] = ()) -> int:
        whole = MemoryFilter(spaces=(space,), expired=True)
        gone = await self._delete(whole, "m.expires_at <= $now")
        if limits.max_age is not None:
            gone += await self._delete(msgspec.structs.replace(whole, created_until=self._clock.now() - limits.max_age))
        if limits.max_entries is None and limits.max_bytes is None:
            return gone
        place = {"space": space_name(space)}
        (held,) = await self._server.ask(HELD, place)
        too_many = held["entries"] - limits.max_entries if limits.max_entries is not None else 0
        too_large = held["bytes"] - limits.max_bytes if limits.max_bytes is not None else 0
        while too_many > 0 or too_large > 0:
            values = {**place, "spare": list(spare), "limit": max(too_many, LEAST)}
            least: list[str] = []
            for row in await self._server.ask(FIRST_TO_GO, values):
                if too_many > 0 or too_large > 0:
                    least.append(row["id"])
                    too_many, too_large = too_many - 1, too_large - row["size"]
            if not least:
                break
            gone += await self._delete(_these(least))
        return gone

    async def _embed(self) -> int:
        """Give some of the entries that wait their vectors; how many there were. Those that change wait on."""
        await self._recall_dimension()
        waiting = await self._server.ask(WAITING, {**self._model(), "limit": TOGETHER})
        if not waiting:
            return 0
        vectors = await self._meanings.of([one["searched"] for one in waiting])
        await self._server.fit(len(vectors[0]))
        rows = [
            {"id": one["id"], "updated_at": one["updated_at"], "vector": vector.tolist()}
            for one, vector in zip(waiting, vectors, strict=True)
        ]
        await self._server.change(Statement(EMBEDDED, {**self._model(), "rows": rows}))
        return len(rows)


@asynccontextmanager
async def open_neo4j_memory(
    driver: AsyncDriver,
    embedder: Embedder,
    *,
    clock: Clock,
    new_id: Callable[[], str],
    label: str = "caxton",
    database: str | None = None,
) -> AsyncIterator[Neo4jMemory]:
    """The memory in the nodes of that label, with what it does in the background, until the end of the block.

    Driver and embedder stay the caller's. A server that is not reached is told by what is asked of the memory.
    """
    memory = Neo4jMemory(Server(driver, label, database), embedder, clock, new_id)
    async with memory.upkeep.running():
        yield memory


def _these(ids: Sequence[str]) -> MemoryFilter:
    return MemoryFilter(spaces=None, ids=tuple(ids), expired=True)


def _entries(rows: Iterable[Values]) -> list[MemoryEntry]:
    return [entry_from(row["entry"]) for row in rows]


def _ends(edge: Relation) -> tuple[str, str, str]:
    return edge.source, edge.kind, edge.target
