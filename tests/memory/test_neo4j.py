"""Neo4j as a backend: what is its own. What all memories have in common is in the contract suite.

None of it has run against Neo4j's own server, which no registry here has: see `support.falkor` for what stands for it.
"""

import sys
from collections.abc import AsyncIterator

import neo4j
import pytest
from support.falkor import Falkor, falkor, falkor_over_bolt
from support.memories import WITHOUT_FALKOR

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode
from caxton.domain.settings import MemorySettings
from caxton.memory.backends import open_memory
from caxton.memory.meanings import Meanings
from caxton.memory.neo4j import open_neo4j_memory
from caxton.memory.neo4j_search import Neo4jFinder
from caxton.memory.neo4j_server import SCHEMA, Server, open_driver
from caxton.memory.queued import open_queued_memory
from caxton.memory.sqlite import open_sqlite_memory
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
async def driver(tmp_path) -> AsyncIterator[Falkor]:
    async with falkor(tmp_path / "falkor") as opened:
        yield opened


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "caxton.db") as opened:
        yield opened


async def found(memory, text, mode=SearchMode.SEMANTIC):
    result = await memory.search(MemoryQuery(text=text, filter=ALL, mode=mode))
    assert not result.warning
    return [hit.entry.value for hit in result.hits]


@WITHOUT_FALKOR
class TestOnAServer:
    async def test_neo4js_own_driver_carries_it_over_bolt(self, tmp_path, parts):
        async with (
            falkor_over_bolt(tmp_path) as driver,
            open_neo4j_memory(driver, WordEmbedder(dimension=16), **parts, database="caxton") as memory,
        ):
            [tea, rain] = await memory.remember(SPACE, [NewMemory(value="tea with milk"), NewMemory(value="rain")])
            await memory.relate([SPACE], tea.id, "before", rain.id)
            assert await found(memory, "milk", SearchMode.HYBRID) == ["tea with milk", "rain"]
            assert [one.kinds for one in await memory.related([SPACE], tea.id, hops=5)] == [("before",)]
            assert await memory.forget(ALL) == 2

    @pytest.mark.parametrize("label", ["caxton", "two words", "LABELS"])
    async def test_a_memory_is_found_again_by_the_next_process(self, driver, parts, label):
        for expected in ([], ["tea"]):
            async with open_neo4j_memory(driver, WordEmbedder(), **parts, label=label, database="g") as memory:
                assert [entry.value for entry in await memory.newest(ALL, limit=9)] == expected
                await memory.remember(SPACE, [NewMemory(value="tea", key="k")])
                assert await found(memory, "tea") == ["tea"]

    async def test_entries_and_relations_move_from_sqlite_and_back(self, database, driver, parts):
        async with (
            open_sqlite_memory(database, WordEmbedder(), **parts) as here,
            open_neo4j_memory(driver, WordEmbedder(), **parts, database="g") as there,
        ):
            new = [NewMemory(value=f"word{n}", tags=("t",), key=f"k{n}") for n in range(700)]
            entries = await here.remember(SPACE, new)
            await here.relate([SPACE], entries[0].id, "next", entries[1].id)
            records = [one async for one in here.export(ALL)]
            assert await there.restore(records) == 701
            assert await there.restore(records) == 0
            await there.settle()
            assert (await there.stats()).pending == 0
            back = [one async for one in there.export(ALL)]
            assert back == records
            await here.forget(ALL)
            assert await here.restore(back) == 701
            assert [one async for one in here.export(ALL)] == records

    async def test_for_vectors_of_another_length_the_index_is_made_anew(self, driver, parts):
        async with open_neo4j_memory(driver, WordEmbedder(), **parts, database="g") as memory:
            await memory.remember(SPACE, [NewMemory(value="tea"), NewMemory(value="rain")])
        async with open_neo4j_memory(driver, WordEmbedder("other", 32), **parts, database="g") as memory:
            await memory.settle()
            assert (await memory.stats()).pending == 0
            assert await found(memory, "tea") == ["tea", "rain"]
            [index] = await driver.indexes("g")
            assert index["vector"]["dimension"] == 32

    async def test_a_model_whose_vectors_changed_their_length_is_refused_until_reindexing(self, driver, parts):
        async with open_neo4j_memory(driver, WordEmbedder(), **parts, database="g") as memory:
            await memory.remember(SPACE, [NewMemory(value="tea")])
        changed = WordEmbedder(dimension=32)
        changed.dimension = None
        async with open_neo4j_memory(driver, changed, **parts, database="g") as memory:
            await memory.remember(SPACE, [NewMemory(value="rain")])
            assert (await memory.stats()).pending == 1
            assert "those stored have 64" in (await memory.stats()).error
            await memory.reindex()
            await memory.settle()
            assert (await memory.stats()).pending == 0
            assert await found(memory, "rain") == ["rain", "tea"]

    async def test_of_many_entries_the_index_is_asked_and_what_a_filter_leaves_is_compared(self, driver, parts):
        embedder = WordEmbedder()
        async with open_neo4j_memory(driver, embedder, **parts, database="g") as memory:
            tags = [("rare",) if number in {3, 77} else () for number in range(100)]
            await memory.remember(SPACE, [NewMemory(value=f"word{n}", tags=one) for n, one in enumerate(tags)])
        finder = Neo4jFinder(Server(driver, "caxton", "g"), Meanings(embedder, 64), parts["clock"], compared=10)
        [vector] = await embedder.embed(["word7"])
        nearest = await finder.near(vector, ALL, 5)
        assert nearest[0][0].value == "word7"
        assert nearest[0][1] == pytest.approx(1, abs=1e-3)
        finder = Neo4jFinder(Server(driver, "caxton", "g"), Meanings(embedder, 64), parts["clock"], compared=1)
        rare = await finder.near(vector, MemoryFilter(spaces=(SPACE,), tags=("rare",)), 5)
        assert {entry.value for entry, _ in rare} == {"word3", "word77"}

    async def test_out_of_reach_it_is_queued_and_stored_when_it_is_back(self, driver, database, parts):
        async with (
            open_neo4j_memory(driver, WordEmbedder(), **parts, database="g") as memory,
            open_queued_memory(memory, database, **parts) as queued,
        ):
            await queued.remember(SPACE, [NewMemory(value="red", key="colour")])
            connected, driver.ask = driver.ask, failing
            await queued.remember(SPACE, [NewMemory(value="blue", key="colour"), NewMemory(value="tea")])
            assert "cannot be reached" in (await queued.search(MemoryQuery(text="tea", filter=ALL))).warning
            assert queued.health().status is HealthStatus.DEGRADED
            driver.ask = connected
            assert {entry.value for entry in await queued.newest(ALL, limit=9)} == {"blue", "tea"}


async def failing(*_):
    raise neo4j.exceptions.ServiceUnavailable("Couldn't connect")


async def test_a_server_that_is_not_there_is_told_and_writes_are_queued(database, parts):
    settings = MemorySettings(backend="neo4j", backend_url="bolt://127.0.0.1:9", backend_key_env="KEY")
    async with open_memory(settings, database, WordEmbedder(), {"KEY": "neo4j:secret"}, **parts) as memory:
        assert len(await memory.remember(SPACE, [NewMemory(value="tea")])) == 1
        assert "cannot be reached" in (await memory.search(MemoryQuery(text="tea", filter=ALL))).warning
        with pytest.raises(CaxtonError) as raised:
            await memory.forget(ALL)
        assert raised.value.code is Code.MEMORY_UNAVAILABLE
        assert "secret" not in f"{raised.value} {raised.value.why}"


async def test_an_address_that_is_not_neo4js_is_refused(database, parts):
    settings = MemorySettings(backend="neo4j", backend_url="http://localhost:7474")
    with pytest.raises(CaxtonError) as raised:
        async with open_memory(settings, database, WordEmbedder(), {}, **parts):
            pass
    assert raised.value.code is Code.CONFIGURATION_INVALID
    assert "neo4j://" in raised.value.hint


async def test_a_missing_package_is_named_with_its_remedy(database, parts, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("caxton.memory.neo4j")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "neo4j", None)
    with pytest.raises(CaxtonError) as raised:
        async with open_memory(MemorySettings(backend="neo4j"), database, WordEmbedder(), {}, **parts):
            pass
    assert raised.value.hint == "Install it: `pip install 'caxton[neo4j]'`."


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, None),
        ("secret", ("neo4j", "secret")),
        ("ann:secret", ("ann", "secret")),
    ],
)
async def test_a_key_names_a_user_or_is_neo4js_password(monkeypatch, key, expected):
    given = {}

    def driver(url, *, auth, **options):
        given.update(url=url, auth=auth)
        raise ValueError("enough")

    monkeypatch.setattr(neo4j.AsyncGraphDatabase, "driver", driver)
    with pytest.raises(CaxtonError, match="neo4j://here"):
        async with open_driver("neo4j://here", key):
            pass
    assert given == {"url": "neo4j://here", "auth": expected}


def test_every_index_is_made_only_where_it_is_not_there():
    assert all("IF NOT EXISTS" in statement for statement in SCHEMA)
