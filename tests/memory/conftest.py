"""A memory, and the database that it is in."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from caxton.domain.agent import MemoryScope
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemorySpace
from caxton.memory.sqlite import SqliteMemory, open_sqlite_memory
from caxton.memory.tables import Tables
from caxton.storage.database import SqliteDatabase, open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder

Opener = Callable[..., AbstractAsyncContextManager[tuple[SqliteDatabase, SqliteMemory]]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def space() -> MemorySpace:
    return MemorySpace(scope=MemoryScope.AGENT, owner="helper")


@pytest.fixture
def opened(tmp_path: Path, clock: FakeClock) -> Opener:
    """Opens the test's one database with a memory in it: `async with opened(embedder) as (database, memory)`."""

    @asynccontextmanager
    async def opened(
        embedder=None, *, tables: Tables | None = None
    ) -> AsyncIterator[tuple[SqliteDatabase, SqliteMemory]]:
        async with open_database(tmp_path / "caxton.db") as database:
            embedder = embedder or WordEmbedder()
            async with open_sqlite_memory(
                database, embedder, clock=clock, new_id=IdSource(clock), tables=tables
            ) as memory:
                yield database, memory

    return opened
