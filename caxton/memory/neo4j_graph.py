"""Relations between entries in Neo4j, and walks along them."""

from collections.abc import Sequence

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MAX_HOPS, MemoryFilter, MemorySpace, Related, Relation
from caxton.domain.ports.clock import Clock
from caxton.memory import checks
from caxton.memory.neo4j_server import Server, Statement
from caxton.memory.nodes import ALIVE, ENTRY, IN_ORDER, entry_from, where
from caxton.memory.relations import ways
from caxton.memory.tokens import space_name

KNOWN = "MATCH (m:`LABEL`) WHERE CONDITION RETURN m.id AS id"
DRAW = """
MATCH (one:`LABEL` {id: $source}), (other:`LABEL` {id: $target})
MERGE (one)-[edge:RELATED {kind: $kind}]->(other) ON CREATE SET edge.created_at = $now
"""
ERASE = """
MATCH (:`LABEL` {id: $source})-[edge:RELATED {kind: $kind}]->(:`LABEL` {id: $target})
DELETE edge RETURN count(edge) AS count
"""
# Of the walk only its length is kept, so that the server need not hold every way there: which kinds of edges are on a
# shortest one is told by the edges among what was reached, where all of a shortest way's nodes are.
WALK = f"""
MATCH (start:`LABEL` {{id: $id}})
MATCH way = (start)-[:RELATED*1..HOPS]-(m:`LABEL`)
WHERE all(one IN nodes(way) WHERE one.space IN $spaces AND {ALIVE.format("one")})
AND all(edge IN relationships(way) WHERE size($kinds) = 0 OR edge.kind IN $kinds) AND m.id <> $id
WITH start, m, min(length(way)) AS hops ORDER BY hops, {IN_ORDER} LIMIT $limit
WITH start, collect({{entry: {ENTRY}, hops: hops}}) AS reached, collect(m) AS there
UNWIND there AS m
MATCH (m)-[edge:RELATED]-(other:`LABEL`)
WHERE (other IN there OR other = start) AND (size($kinds) = 0 OR edge.kind IN $kinds)
RETURN reached, collect(DISTINCT [startNode(edge).id, edge.kind, endNode(edge).id]) AS edges
"""
LEAVING = """
MATCH (one:`LABEL`)-[edge:RELATED]->(other:`LABEL`) WHERE one.id IN $ids
RETURN one.id AS source, edge.kind AS kind, other.id AS target, edge.created_at AS created_at
ORDER BY source, kind, target
"""


class Graph:
    """The relationships of a server. Changes are to be made one at a time."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        checks.check_name("kind of relation", kind)
        if source == target:
            raise checks.invalid(f"The entry {source!r} cannot be related to itself.")
        await self._known(spaces, source, target)
        values = {"source": source, "kind": kind, "target": target, "now": self._clock.now()}
        await self._server.change(Statement(DRAW, values))

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        await self._known(spaces, source, target)
        ((row,),) = await self._server.change(Statement(ERASE, {"source": source, "kind": kind, "target": target}))
        return bool(row["count"])

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        if not 1 <= hops <= MAX_HOPS:
            raise checks.invalid(f"A walk has 1 to {MAX_HOPS} hops; {hops!r} were asked for.")
        await self._known(spaces, id)
        values = {
            "id": id,
            "spaces": [space_name(space) for space in spaces],
            "kinds": list(kinds),
            "limit": limit,
            "now": self._clock.now(),
        }
        # How far a pattern goes cannot be a parameter; it is a number, checked above.
        rows = await self._server.ask(WALK.replace("HOPS", str(hops)), values)
        return [
            Related(entry=(entry := entry_from(one["entry"])), hops=one["hops"], kinds=there[entry.id])
            for row in rows
            for there in [ways(id, row["edges"])]
            for one in row["reached"]
        ]

    async def leaving(self, ids: Sequence[str]) -> list[Relation]:
        """The relations from these entries."""
        return [Relation(**row) for row in await self._server.ask(LEAVING, {"ids": list(ids)})]

    async def _known(self, spaces: Sequence[MemorySpace], *ids: str) -> None:
        meant = where(MemoryFilter(spaces=tuple(spaces), ids=ids), self._clock.now())
        known = {row["id"] for row in await self._server.ask(meant.of(KNOWN), meant.values)}
        for id in ids:
            if id not in known:
                raise CaxtonError(Code.MEMORY_NOT_FOUND, f"There is no memory {id!r} here.")
