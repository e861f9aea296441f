"""What the contract suite does not say of the memory in Qdrant: servers, keys, dimensions, and moving to and fro."""

import sys
from typing import get_args

import pytest
from qdrant_client import AsyncQdrantClient

from caxton.config.settings import MemoryTable
from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode
from caxton.domain.settings import MemorySettings
from caxton.memory.backends import BACKENDS, open_memory
from caxton.memory.qdrant import open_qdrant_memory
from caxton.memory.sqlite import open_sqlite_memory
from caxton.memory.tokens import asked, tokens
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder

SPACE = MemorySpace(scope=MemoryScope.AGENT, owner="helper")
ALL = MemoryFilter(spaces=None)


@pytest.fixture
def parts():
    clock = FakeClock()
    return {"clock": clock, "new_id": IdSource(clock)}


@pytest.fixture
async def client(tmp_path):
    client = AsyncQdrantClient(path=str(tmp_path / "qdrant"))
    yield client
    await client.close()


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        yield database


def test_the_settings_know_every_backend():
    assert set(get_args(MemoryTable.model_fields["backend"].annotation)) == set(BACKENDS)


async def test_memories_move_to_qdrant_and_back(client, database, parts):
    async with (
        open_sqlite_memory(database, WordEmbedder(), **parts) as here,
        open_qdrant_memory(client, WordEmbedder(), **parts) as there,
    ):
        entries = await here.remember(
            SPACE, [NewMemory(value=f"word{n}", tags=("t",), key=f"k{n}") for n in range(700)]
        )
        await here.relate([SPACE], entries[0].id, "next", entries[1].id)
        records = [one async for one in here.export(ALL)]
        assert await there.restore(records) == 701
        await there.settle()
        assert (await there.stats()).pending == 0
        back = [one async for one in there.export(ALL)]
        assert back == records
        await here.forget(ALL)
        assert await here.restore(back) == 701
        assert [one async for one in here.export(ALL)] == records


async def test_a_collection_is_found_again_by_the_next_process(tmp_path, parts):
    for expected in ([], ["tea"]):
        client = AsyncQdrantClient(path=str(tmp_path / "qdrant"))
        async with open_qdrant_memory(client, WordEmbedder(), **parts) as memory:
            assert [entry.value for entry in await memory.newest(ALL, limit=9)] == expected
            await memory.remember(SPACE, [NewMemory(value="tea", key="k")])
            result = await memory.search(MemoryQuery(text="tea", filter=ALL, mode=SearchMode.SEMANTIC))
            assert [hit.entry.value for hit in result.hits] == ["tea"]
        await client.close()


async def test_vectors_of_another_length_are_refused_with_the_way_out(client, parts):
    async with open_qdrant_memory(client, WordEmbedder(), **parts) as memory:
        await memory.remember(SPACE, [NewMemory(value="tea")])
    async with open_qdrant_memory(client, WordEmbedder("other", 32), **parts) as memory:
        with pytest.raises(CaxtonError, match="64 numbers; those of 'other' have 32") as raised:
            await memory.remember(SPACE, [NewMemory(value="milk")])
        assert raised.value.code is Code.EMBEDDING_INVALID
        assert "collection" in raised.value.hint
        assert [entry.value for entry in await memory.newest(ALL, limit=9)] == ["tea"]


async def test_vectors_of_another_model_are_made_anew_and_never_compared(client, parts):
    async with open_qdrant_memory(client, WordEmbedder(), **parts) as memory:
        await memory.remember(SPACE, [NewMemory(value="tea with milk")])
    other = WordEmbedder("other")
    other.broken = True
    async with open_qdrant_memory(client, other, **parts) as memory:
        assert (await memory.stats()).pending == 1
        other.broken = False
        query = MemoryQuery(text="milk", filter=ALL, mode=SearchMode.SEMANTIC)
        await memory.settle()
        assert [hit.entry.value for hit in (await memory.search(query)).hits] == ["tea with milk"]
        assert (await memory.stats()).pending == 0


async def test_a_server_that_is_not_there_is_told_and_writes_are_queued(database, parts):
    settings = MemorySettings(backend="qdrant", backend_url="https://127.0.0.1:9", backend_key_env="KEY")
    async with open_memory(settings, database, WordEmbedder(), {"KEY": "secret"}, **parts) as memory:
        assert len(await memory.remember(SPACE, [NewMemory(value="tea")])) == 1
        assert "cannot be reached" in (await memory.search(MemoryQuery(text="tea", filter=ALL))).warning
        with pytest.raises(CaxtonError) as raised:
            await memory.forget(ALL)
        assert raised.value.code is Code.MEMORY_UNAVAILABLE
        assert "secret" not in f"{raised.value} {raised.value.why}"


async def test_an_address_of_another_backend_is_refused(database, parts):
    settings = MemorySettings(backend="qdrant", backend_url="neo4j://localhost:7687")
    with pytest.raises(CaxtonError, match="neo4j://") as raised:
        async with open_memory(settings, database, WordEmbedder(), {}, **parts):
            pass
    assert raised.value.code is Code.CONFIGURATION_INVALID


async def test_a_missing_package_is_named_with_its_remedy(database, parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(CaxtonError) as raised:
        async with open_memory(MemorySettings(backend="qdrant"), database, WordEmbedder(), {}, **parts):
            pass
    assert raised.value.hint == "Install it: `pip install 'caxton[qdrant]'`."


async def test_the_embedded_backend_needs_no_package(database, parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    async with open_memory(MemorySettings(), database, WordEmbedder(), {}, **parts) as memory:
        assert await memory.remember(SPACE, [NewMemory(value="tea")])


def test_words_are_those_of_any_script_without_accents():
    assert tokens("Zoë's Café, 2 日本") == ["zoe", "s", "cafe", "2", "日本"]
    assert asked('the "warm stove" cat') == (["warm", "stove", "cat"], [["warm", "stove"]])
    assert asked("the") == (["the"], [])
    assert asked('?! ""') == ([], [])
