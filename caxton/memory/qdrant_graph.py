"""Relations between entries in Qdrant, and walks along them."""

from collections.abc import Sequence

from qdrant_client import models

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MAX_HOPS, MemorySpace, Related, Relation
from caxton.domain.ports.clock import Clock
from caxton.memory import checks, points
from caxton.memory.collection import Collection
from caxton.memory.tokens import order_of


class Graph:
    """The edges of a collection. Changes are to be made one at a time."""

    def __init__(self, collection: Collection, clock: Clock) -> None:
        self._points = collection
        self._clock = clock

    async def relate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> None:
        checks.check_name("kind of relation", kind)
        if source == target:
            raise checks.invalid(f"The entry {source!r} cannot be related to itself.")
        await self._both(spaces, source, target)
        relation = Relation(source=source, kind=kind, target=target, created_at=self._clock.now())
        if not await self._points.count(points.at(relation)):
            await self._points.put([points.relation_point(relation)])

    async def unrelate(self, spaces: Sequence[MemorySpace], source: str, kind: str, target: str) -> bool:
        await self._both(spaces, source, target)
        chosen = points.at(Relation(source=source, kind=kind, target=target, created_at=0.0))
        if not await self._points.count(chosen):
            return False
        await self._points.delete(chosen)
        return True

    async def related(
        self, spaces: Sequence[MemorySpace], id: str, *, hops: int = 1, kinds: Sequence[str] = (), limit: int = 100
    ) -> list[Related]:
        if not 1 <= hops <= MAX_HOPS:
            raise checks.invalid(f"A walk has 1 to {MAX_HOPS} hops; {hops!r} were asked for.")
        await self._both(spaces, id)
        ways: dict[str, tuple[str, ...]] = {id: ()}
        reached: list[Related] = []
        ahead = [id]
        for far in range(1, hops + 1):
            next_: dict[str, tuple[str, ...]] = {}
            for edge in await self._edges(ahead, kinds):
                for here, there in ((edge.source, edge.target), (edge.target, edge.source)):
                    if here in ahead and there not in ways:
                        next_.setdefault(there, (*ways[here], edge.kind))
            entries = await self._points.of_ids(list(next_), self._clock.now(), tuple(spaces))
            ahead = [entry.id for entry in entries]
            ways |= {one: next_[one] for one in ahead}
            ordered = sorted(entries, key=order_of)
            reached += [Related(entry=entry, hops=far, kinds=ways[entry.id]) for entry in ordered]
            if not ahead or len(reached) >= limit:
                break
        return reached[:limit]

    async def _both(self, spaces: Sequence[MemorySpace], *ids: str) -> None:
        known = {entry.id for entry in await self._points.of_ids(ids, self._clock.now(), tuple(spaces))}
        for id in ids:
            if id not in known:
                raise CaxtonError(Code.MEMORY_NOT_FOUND, f"There is no memory {id!r} here.")

    async def _edges(self, ids: Sequence[str], kinds: Sequence[str]) -> list[Relation]:
        chosen = models.Filter(
            must=[points.equals("kind", points.RELATION), *([points.one_of("relation", kinds)] if kinds else [])],
            should=[points.one_of("source", ids), points.one_of("target", ids)],
        )
        return [points.relation_from(one) async for one in self._points.all(chosen)]
