"""One collection of Qdrant, as the memory uses it. What Qdrant fails with becomes `memory_unavailable`."""

import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemorySpace
from caxton.memory.points import INDEXES, MEANING, WORDS, entry_from, meant

PAGE = 500
Payload = dict[str, Any]


class Collection:
    """`name` is made on first use, for vectors of the length given then."""

    def __init__(self, client: AsyncQdrantClient, name: str) -> None:
        self.dimension: int | None = None
        self._client = client
        self._name = name
        self._there = False

    async def there(self) -> bool:
        """Whether the collection exists. Reads what length its vectors have."""
        if not self._there:
            with reached():
                if await self._client.collection_exists(self._name):
                    known = (await self._client.get_collection(self._name)).config.params.vectors
                    self.dimension = known[MEANING].size if isinstance(known, dict) else None
                    self._there = True
        return self._there

    async def make(self, dimension: int) -> None:
        if await self.there():
            return
        with reached():
            await self._client.create_collection(
                self._name,
                vectors_config={MEANING: models.VectorParams(size=dimension, distance=models.Distance.COSINE)},
                sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the client's local mode, where indexes do nothing
                for field, kind in INDEXES.items():
                    schema = models.PayloadSchemaType(kind)
                    await self._client.create_payload_index(self._name, field, field_schema=schema)
        self.dimension, self._there = dimension, True

    async def put(self, points: Sequence[models.PointStruct]) -> None:
        """Store points, durable on return."""
        if points:
            with reached():
                await self._client.upsert(self._name, points=list(points), wait=True)

    async def delete(self, chosen: models.Filter) -> None:
        with reached():
            await self._client.delete(self._name, points_selector=models.FilterSelector(filter=chosen), wait=True)

    async def change(self, fields: Payload, chosen: models.Filter) -> None:
        with reached():
            await self._client.set_payload(self._name, payload=fields, points=chosen, wait=True)

    async def vectors(self, points: Sequence[models.PointVectors]) -> None:
        with reached():
            await self._client.update_vectors(self._name, points=list(points), wait=True)

    async def count(self, chosen: models.Filter) -> int:
        if not await self.there():
            return 0
        with reached():
            return (await self._client.count(self._name, count_filter=chosen, exact=True)).count

    async def all(self, chosen: models.Filter, fields: Sequence[str] | bool = True) -> AsyncIterator[Payload]:
        """Payloads in no order."""
        offset: Any = None
        more = await self.there()
        while more:
            with reached():
                found, offset = await self._client.scroll(
                    self._name,
                    scroll_filter=chosen,
                    limit=PAGE,
                    offset=offset,
                    with_payload=fields if isinstance(fields, bool) else list(fields),
                )
            for one in found:
                yield one.payload or {}
            more = offset is not None

    async def of_ids(
        self, ids: Sequence[str], now: float, spaces: tuple[MemorySpace, ...] | None = None
    ) -> list[MemoryEntry]:
        """The entries of these ids; those of given spaces only while they have not expired."""
        filter = MemoryFilter(spaces=spaces, ids=tuple(ids), expired=spaces is None)
        return [entry_from(one) async for one in self.all(meant(filter, now))] if ids else []

    async def ordered(
        self, chosen: models.Filter, *, limit: int, start: int | None = None, descending: bool = False
    ) -> list[Payload]:
        """Payloads in the order of their making, from the place `start` on, itself left out."""
        if not await self.there():
            return []
        direction = models.Direction.DESC if descending else models.Direction.ASC
        by = models.OrderBy(key="order", direction=direction, start_from=start)
        with reached():
            found, _ = await self._client.scroll(self._name, scroll_filter=chosen, limit=limit + 1, order_by=by)
        payloads = [one.payload or {} for one in found]
        return [one for one in payloads if one["order"] != start][:limit]

    async def nearest(self, query: Any, using: str, chosen: models.Filter, limit: int) -> list[tuple[Payload, float]]:
        """Payloads with their scores, best first."""
        if not await self.there():
            return []
        with reached():
            found = await self._client.query_points(
                self._name, query=query, using=using, query_filter=chosen, limit=limit
            )
        return [(one.payload or {}, one.score) for one in found.points]


@contextmanager
def reached() -> Iterator[None]:
    """What Qdrant and the way to it fail with, within the block, as CaxtonError `memory_unavailable`."""
    try:
        yield
    except (ApiException, OSError) as error:
        raise CaxtonError(
            Code.MEMORY_UNAVAILABLE,
            "The memory in Qdrant cannot be reached, or refused what it was asked.",
            why=f"{type(error).__name__}: {error}"[:500],
            hint="Check that the server runs, and `backend_url` in `[memory]` of caxton.toml.",
        ) from error
