"""A memory that is out of reach for a while: nothing that was to be remembered is lost."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryLimits, MemoryQuery, MemorySpace, NewMemory
from caxton.memory.qdrant import open_qdrant_memory
from caxton.memory.queued import AGAIN, open_queued_memory
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder

SPACE = MemorySpace(scope=MemoryScope.AGENT, owner="helper")
ALL = MemoryFilter(spaces=None)


class Flaky:
    """Qdrant's client in its local mode, that fails as one without a server does while `down`."""

    def __init__(self) -> None:
        self.down = False
        self.stalled: asyncio.Event | None = None
        self.calls = 0
        self.fails_at: int | None = None
        self._client = AsyncQdrantClient(":memory:")

    def __getattr__(self, name):
        real = getattr(self._client, name)

        async def call(*arguments, **keywords):
            self.calls += 1
            if self.stalled:
                await self.stalled.wait()
            if self.down or self.calls == self.fails_at:
                raise ResponseHandlingException(ConnectionError("All connection attempts failed"))
            return await real(*arguments, **keywords)

        return call


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def client():
    return Flaky()


@pytest.fixture
def opened(tmp_path, clock, client):
    @asynccontextmanager
    async def opened():
        parts = {"clock": clock, "new_id": IdSource(clock)}
        async with (
            open_database(tmp_path / "caxton.db") as database,
            open_qdrant_memory(client, WordEmbedder(), **parts) as memory,
            open_queued_memory(memory, database, **parts) as queued,
        ):
            yield queued

    return opened


async def values(memory):
    return [entry.value for entry in await memory.newest(ALL, limit=1000)]


async def search(memory, text):
    return await memory.search(MemoryQuery(text=text, filter=ALL))


async def test_out_of_reach_nothing_is_recalled_and_that_is_said(opened, client):
    async with opened() as memory:
        await memory.remember(SPACE, [NewMemory(value="tea with milk")])
        client.down = True
        result = await search(memory, "milk")
        assert result.hits == ()
        assert "cannot be reached" in result.warning
        assert memory.health().status is HealthStatus.DEGRADED
        assert "cannot be reached" in (await memory.stats()).error
        client.down = False
        assert [hit.entry.value for hit in (await search(memory, "milk")).hits] == ["tea with milk"]


async def test_what_is_told_meanwhile_is_stored_under_its_ids_when_the_backend_is_back(opened, client):
    async with opened() as memory:
        first = await memory.remember(SPACE, [NewMemory(value="red", key="colour")])
        client.down = True
        entries = await memory.remember(SPACE, [NewMemory(value="a", tags=("t",), subject="zoe"), NewMemory(value="b")])
        await memory.remember(SPACE, [NewMemory(value="blue", key="colour")])
        await memory.used([first[0].id])
        assert "Queued: 3" in memory.health().detail
        client.down = False
        assert set(await values(memory)) == {"a", "b", "blue"}
        assert {entry.id for entry in entries} < {entry.id for entry in await memory.newest(ALL, limit=9)}
        kept = await memory.newest(MemoryFilter(spaces=None, ids=(entries[0].id,)), limit=1)
        assert kept == [entries[0]]
        assert (await memory.get(SPACE, "colour")).id == first[0].id


async def test_the_queue_outlives_a_restart_and_is_worked_off_by_itself(opened, client, clock):
    client.down = True
    async with opened() as memory:
        await memory.remember(SPACE, [NewMemory(value="tea")])
    async with opened() as memory:
        assert memory.health().status is HealthStatus.DEGRADED
        client.down = False
        while memory.health().status is not HealthStatus.OK:
            await clock.advance(AGAIN)
        assert await values(memory) == ["tea"]


async def test_a_backend_that_stalls_holds_up_one_turn_and_what_is_told_is_queued(opened, client, clock, monkeypatch):
    for wait in ("PATIENCE", "STORING", "SEARCHING"):
        monkeypatch.setattr(f"caxton.memory.queued.{wait}", 0.05)
    async with opened() as memory:
        await memory.remember(SPACE, [NewMemory(value="milk")])
        client.stalled = asyncio.Event()
        async with asyncio.timeout(30):
            [entry] = await memory.remember(SPACE, [NewMemory(value="tea")])
            asked = client.calls
            assert "too slow" in (await search(memory, "milk")).warning
            await memory.used([entry.id])
            await memory.remember(SPACE, [NewMemory(value="rain")])
        assert client.calls == asked
        assert "Queued: 3" in memory.health().detail
        client.stalled.set()
        while memory.health().status is not HealthStatus.OK:
            await clock.advance(AGAIN)
        assert await values(memory) == ["rain", "tea", "milk"]
        assert (await search(memory, "milk")).warning == ""


async def test_limits_hold_for_what_was_queued(opened, client):
    async with opened() as memory:
        client.down = True
        for number in range(5):
            await memory.remember(SPACE, [NewMemory(value=number)], limits=MemoryLimits(max_entries=2))
        client.down = False
        assert len(await values(memory)) == 2


async def test_what_cannot_be_promised_fails(opened, client):
    async with opened() as memory:
        [one, other] = await memory.remember(SPACE, [NewMemory(value="a"), NewMemory(value="b")])
        client.down = True
        for call in (
            memory.forget(ALL),
            memory.relate([SPACE], one.id, "to", other.id),
            memory.get(SPACE, "k"),
            memory.newest(ALL, limit=1),
            memory.restore([one]),
            memory.reindex(),
            memory.settle(),
        ):
            with pytest.raises(CaxtonError) as raised:
                await call
            assert raised.value.code is Code.MEMORY_UNAVAILABLE
            assert "backend_url" in raised.value.hint


async def test_what_is_wrong_is_refused_and_not_queued(opened, client):
    client.down = True
    async with opened() as memory:
        with pytest.raises(CaxtonError) as raised:
            await memory.remember(SPACE, [NewMemory(value="a\0b")])
        assert raised.value.code is Code.MEMORY_INVALID
        assert memory.health().status is HealthStatus.OK


@given(fails_at=st.integers(1, 60), down=st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whenever_the_connection_breaks_every_acknowledged_entry_is_there_once(tmp_path_factory, fails_at, down):
    clock, client = FakeClock(), Flaky()
    client.fails_at = fails_at
    parts = {"clock": clock, "new_id": IdSource(clock)}
    async with (
        open_database(tmp_path_factory.mktemp("queue") / "caxton.db") as database,
        open_qdrant_memory(client, WordEmbedder(), **parts) as memory,
        open_queued_memory(memory, database, **parts) as queued,
    ):
        for number, client.down in enumerate(down):
            await queued.remember(SPACE, [NewMemory(value=number), NewMemory(value=f"key {number}", key="k")])
        client.down, client.fails_at = False, None
        held = await values(queued)
        assert sorted(str(value) for value in held) == ["0", "1", "2", "3", "4", "5", "key 5"]
