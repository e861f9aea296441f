"""The operations on what agents remember, on a memory in a file of its own."""

import pytest

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import Relation, SearchMode
from caxton.memory.sqlite import open_sqlite_memory
from caxton.service.api.memory import AddMemory, Exported, ImportMemory
from caxton.service.memory import MemoryService
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder

HELPER = {"scope": MemoryScope.AGENT, "owner": "helper"}
OTHER = {"scope": MemoryScope.AGENT, "owner": "other"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def memory(tmp_path, clock, embedder):
    async with (
        open_database(tmp_path / "caxton.db") as database,
        open_sqlite_memory(database, embedder, clock=clock, new_id=IdSource(clock)) as memory,
    ):
        yield memory


@pytest.fixture
def service(memory, clock) -> MemoryService:
    return MemoryService(memory=memory, clock=clock)


async def add(service, value, **fields):
    return await service.add(body=AddMemory(value=value, **{**HELPER, **fields}))


async def listed(service, **query):
    return [entry.value for entry in (await service.list(**query)).entries]


async def test_what_is_added_is_shown_whole(service, clock):
    entry = await add(
        service, {"city": "Graz"}, key="home", tags=("place",), importance=0.9, subject="zoe", expires_in=60.0
    )
    assert await service.show(id=entry.id) == entry
    assert (entry.value, entry.key, entry.tags, entry.importance) == ({"city": "Graz"}, "home", ("place",), 0.9)
    assert (entry.subject, entry.expires_at) == ("zoe", clock.now() + 60)


async def test_an_entry_of_a_known_key_is_replaced(service):
    first = await add(service, "red", key="colour")
    second = await add(service, "blue", key="colour")
    assert second.id == first.id
    assert await listed(service, key="colour") == ["blue"]


async def test_what_has_expired_is_listed_no_more(service, clock):
    await add(service, "soon gone", expires_in=5.0)
    await clock.advance(6)
    assert await listed(service) == []


async def test_entries_come_newest_first_in_pages(service, clock):
    for number in range(5):
        await add(service, f"note {number}")
        await clock.advance(1)
    first = await service.list(limit=2)
    second = await service.list(limit=2, before=first.next)
    third = await service.list(limit=2, before=second.next)
    pages = [[entry.value for entry in page.entries] for page in (first, second, third)]
    assert pages == [["note 4", "note 3"], ["note 2", "note 1"], ["note 0"]]
    assert third.next is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, {"a", "b", "c"}),
        (HELPER, {"a", "b"}),
        (OTHER, {"c"}),
        ({"tag": "food"}, {"a", "c"}),
        ({"tag": "food", **HELPER}, {"a"}),
        ({"subject": "zoe"}, {"b"}),
        ({"key": "k"}, {"c"}),
        ({"key": "nothing"}, set()),
    ],
)
async def test_conditions_hold_for_list_search_export_and_forget_alike(service, query, expected):
    await add(service, "a", tags=("food",))
    await add(service, "b", subject="zoe")
    await add(service, "c", tags=("food",), key="k", **OTHER)
    assert set(await listed(service, **query)) == expected
    hits = (await service.search(text="a b c", **query)).hits
    assert {hit.entry.value for hit in hits} == expected
    assert {record.value for record in (await service.export(**query)).records} == expected
    assert (await service.forget(**{**query, "all": not query})).entries == len(expected)
    assert set(await listed(service)) == {"a", "b", "c"} - expected


async def test_the_best_hits_come_first_and_no_more_than_asked_for(service):
    for text in ("tea with milk", "tea", "coffee"):
        await add(service, text)
    answer = await service.search(text="tea with milk", limit=2, **HELPER)
    assert [hit.entry.value for hit in answer.hits] == ["tea with milk", "tea"]
    assert answer.warning == ""


async def test_what_a_search_has_to_do_without_is_said(service, embedder):
    await add(service, "tea with milk")
    embedder.broken = True
    answer = await service.search(text="milk")
    assert [hit.entry.value for hit in answer.hits] == ["tea with milk"]
    assert "Only words" in answer.warning
    with pytest.raises(CaxtonError) as raised:
        await service.search(text="milk", mode=SearchMode.SEMANTIC)
    assert raised.value.code is Code.EMBEDDER_UNAVAILABLE


async def test_one_entry_is_forgotten_by_its_id(service):
    entry = await add(service, "a")
    await add(service, "b")
    assert (await service.forget(id=entry.id)).entries == 1
    assert (await service.forget(id=entry.id)).entries == 0
    assert await listed(service) == ["b"]
    with pytest.raises(CaxtonError, match=entry.id) as raised:
        await service.show(id=entry.id)
    assert raised.value.code is Code.MEMORY_NOT_FOUND


async def test_everything_is_forgotten_only_if_that_is_said(service):
    await add(service, "a")
    with pytest.raises(CaxtonError) as raised:
        await service.forget()
    assert raised.value.code is Code.PARAMETER_INVALID
    assert "all=true" in raised.value.hint
    assert await listed(service) == ["a"]
    assert (await service.forget(all=True)).entries == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"scope": MemoryScope.AGENT}, "'agent' needs an owner"),
        ({"scope": MemoryScope.SESSION, "owner": ""}, "'session' needs an owner"),
        ({"scope": MemoryScope.GLOBAL, "owner": "helper"}, "'global' has no owner"),
        ({"owner": "helper"}, "without the scope"),
    ],
)
async def test_a_space_that_is_none_is_refused(service, query, words):
    for call in (service.list, service.export, service.forget, lambda **given: service.search(text="a", **given)):
        with pytest.raises(CaxtonError, match=words) as raised:
            await call(**query)
        assert raised.value.code is Code.PARAMETER_INVALID


async def test_an_export_is_imported_under_its_own_ids_and_once_only(service, memory):
    first, second = await add(service, "a"), await add(service, "b", key="k")
    space = first.space
    await memory.relate([space], first.id, "before", second.id)
    exported = await service.export()
    assert exported.count == 3
    assert isinstance(exported.records[-1], Relation)
    await service.forget(all=True)
    assert (await service.restore(body=ImportMemory(records=exported.records))).records == 3
    assert (await service.restore(body=ImportMemory(records=exported.records))).records == 0
    assert (await service.export()).records == exported.records


async def test_a_streamed_export_ends_with_how_much_it_was(service):
    await add(service, "a")
    await add(service, "b", **OTHER)
    events = [event async for event in service.stream()]
    assert [event.value for event in events[:-1]] == ["a", "b"]
    assert events[-1] == Exported(count=2)


async def test_what_cannot_be_remembered_is_refused_and_nothing_stored(service):
    for value in ("a\0b", "\ud800", "x" * 10_000_000):
        with pytest.raises(CaxtonError) as raised:
            await add(service, value)
        assert raised.value.code is Code.MEMORY_INVALID
    assert await listed(service) == []


async def test_numbers_are_those_of_the_whole_or_of_one_space(service):
    await add(service, "a")
    await add(service, "b", **OTHER)
    assert (await service.stats()).entries == 2
    assert (await service.stats(**OTHER)).entries == 1
    with pytest.raises(CaxtonError, match="needs an owner"):
        await service.stats(scope=MemoryScope.AGENT)


async def test_reindexing_embeds_everything_anew(service, memory, embedder):
    await add(service, "a")
    embedder.asked.clear()
    assert (await service.reindex()).entries == 1
    await memory.settle()
    assert embedder.asked == ["a"]
    assert (await service.stats()).pending == 0
