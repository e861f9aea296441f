"""What every memory has to do where its embedder fails, stalls, or embeds everything anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.memories import BACKENDS, MINE, Backend, found, note, within

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.memory import MemoryQuery, NewMemory, SearchMode
from caxton.domain.ports.memory import Memory


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        yield Backend(tmp_path, stack, request.param)


@pytest.fixture
async def memory(backend: Backend) -> Memory:
    return await backend.open()


class TestWithoutAnEmbedder:
    async def test_entries_are_stored_and_their_meaning_follows(self, memory, backend):
        backend.embedder.broken = True
        await note(memory, "tea with milk")
        stats = await memory.stats()
        assert (stats.entries, stats.pending) == (1, 1)
        assert "broken" in stats.error
        assert memory.health().status is HealthStatus.DEGRADED
        backend.embedder.broken = False
        await memory.settle()
        stats = await memory.stats()
        assert (stats.pending, stats.embedded, stats.error) == (0, 1, "")
        assert memory.health().status is HealthStatus.OK
        assert await found(memory, "milk", SearchMode.SEMANTIC) == ["tea with milk"]

    async def test_a_hybrid_search_is_by_words_and_says_so_and_a_semantic_one_fails(self, memory, backend):
        await note(memory, "tea with milk")
        backend.embedder.broken = True
        result = await memory.search(MemoryQuery(text="milk", filter=within()))
        assert [hit.entry.value for hit in result.hits] == ["tea with milk"]
        assert "words" in result.warning
        with pytest.raises(CaxtonError) as raised:
            await found(memory, "milk", SearchMode.SEMANTIC)
        assert raised.value.code is Code.EMBEDDER_UNAVAILABLE


class TestWithAStalledEmbedder:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        """Nobody waits for long here."""
        for module, seconds in (
            ("hybrid", "SEARCHING"),
            *((name, "STORING") for name in ("sqlite", "qdrant", "neo4j")),
        ):
            monkeypatch.setattr(f"caxton.memory.{module}.{seconds}", 0.02)

    async def test_an_entry_is_stored_without_its_meaning_which_follows(self, memory, backend):
        backend.embedder.stalled = asyncio.Event()
        async with asyncio.timeout(5):
            await note(memory, "tea with milk")
            await note(memory, "rain")
        stats = await memory.stats()
        assert (stats.entries, stats.pending) == (2, 2)
        assert "not answer" in stats.error
        backend.embedder.stalled.set()
        await memory.settle()
        stats = await memory.stats()
        assert (stats.pending, stats.error) == (0, "")
        assert await found(memory, "milk", SearchMode.SEMANTIC, limit=1) == ["tea with milk"]

    async def test_a_hybrid_search_is_by_words_and_waits_but_once(self, memory, backend):
        await note(memory, "tea with milk")
        backend.embedder.stalled = asyncio.Event()
        async with asyncio.timeout(5):
            for text in ("milk of", "milk or", "milk and"):
                result = await memory.search(MemoryQuery(text=text, filter=within()))
                assert [hit.entry.value for hit in result.hits] == ["tea with milk"]
                assert "words" in result.warning
        assert len(backend.embedder.asked) == 2


class TestReindexing:
    async def test_everything_is_embedded_anew_and_search_goes_on(self, memory, backend):
        await memory.remember(MINE, [NewMemory(value=f"word{n} common") for n in range(150)])
        asked = len(backend.embedder.asked)
        await memory.reindex()
        assert await found(memory, "word7 common", SearchMode.SEMANTIC, limit=1) == ["word7 common"]
        await memory.settle()
        assert len(backend.embedder.asked) == asked + 151
        assert (await memory.stats()).pending == 0
        for mode in SearchMode:
            assert (await found(memory, "word7 common", mode))[0] == "word7 common"
