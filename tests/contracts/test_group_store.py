"""What every store of groups has to do. A new backend is one more id of the fixture `stores`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.messages import a_request

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.bus.stores.sqlite_conversations import SqliteGroupStore
from caxton.domain.conversation import Group, History, Order, Participant, ParticipantKind
from caxton.domain.delivery import Settle
from caxton.domain.message import MessageState
from caxton.storage.database import open_database
from caxton.testing.conversations import MemoryGroupStore
from caxton.testing.memory import MemoryMessageStore


@pytest.fixture(params=["memory", "sqlite"])
async def stores(request, tmp_path):
    """A store of groups, and the store of the messages in them."""
    if request.param == "memory":
        messages = MemoryMessageStore()
        yield MemoryGroupStore(messages), messages
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteGroupStore(database), SqliteMessageStore(database)


@pytest.fixture
def store(stores):
    return stores[0]


@pytest.fixture
def messages(stores):
    return stores[1]


def takes_part(name: str, at: float = 1.0, *, kind: str = "agent") -> Participant:
    return Participant(name=name, kind=ParticipantKind(kind), joined_at=at)


def a_group(id: str = "g1", *names: str, **fields) -> Group:
    fields = {"created_at": 1.0, "participants": tuple(takes_part(name) for name in names), **fields}
    return Group(id=id, **fields)


def names(group: Group) -> list[str]:
    return [one.name for one in group.participants]


async def test_a_group_is_kept_whole(store):
    group = a_group(
        title="A plan",
        metadata={"project": "x", "deep": {"list": [1, None, True]}},
        history=History.PRIVATE,
        order=Order.IN_TURN,
        idle=90.5,
        participants=(takes_part("writer"), takes_part("ada", kind="person")),
    )
    assert await store.create(group)
    assert store.find("g1") == group
    assert store.find("g1").agents == ("writer",)


async def test_a_second_one_of_the_same_id_changes_nothing(store):
    await store.create(a_group("g1", "writer"))
    assert not await store.create(a_group("g1", "reviewer", title="another"))
    assert store.find("g1") == a_group("g1", "writer")


async def test_of_what_is_not_there_nothing_is_kept(store):
    assert store.find("nothing") is None
    assert not await store.join("nothing", takes_part("writer"))
    assert not await store.leave("nothing", "writer", 2.0)
    await store.close("nothing", 2.0)
    await store.reopen("nothing", 2.0)
    await store.forget_departed("nothing")
    assert await store.participations("nothing") == []
    assert not await store.erase("nothing")


async def test_who_joins_and_leaves_is_noted_with_the_time(store):
    await store.create(a_group("g1", "writer", "reviewer"))
    assert await store.leave("g1", "writer", 2.0)
    assert not await store.leave("g1", "writer", 3.0)
    assert await store.join("g1", takes_part("writer", 4.0))
    assert not await store.join("g1", takes_part("writer", 5.0))
    assert names(store.find("g1")) == ["reviewer", "writer"]
    first = msgspec.structs.replace(takes_part("writer"), left_at=2.0)
    assert await store.participations("g1") == [first, takes_part("reviewer"), takes_part("writer", 4.0)]


async def test_a_closed_one_opens_again(store):
    await store.create(a_group())
    await store.close("g1", 2.0)
    await store.close("g1", 3.0)
    assert store.find("g1").closed_at == 2.0
    await store.reopen("g1", 4.0)
    assert store.find("g1").is_open


async def test_groups_of_somebody_come_newest_first_in_pages(store):
    for id in ("one", "two", "three", "four"):
        await store.create(a_group(id, *(["writer"] if id != "two" else ["reviewer"])))
    await store.leave("four", "writer", 2.0)
    assert [group.id for group in await store.of("writer", limit=9)] == ["three", "one"]
    assert [group.id for group in await store.of("writer", limit=1)] == ["three"]
    assert [group.id for group in await store.of("writer", limit=9, before="three")] == ["one"]
    assert await store.of("writer", limit=9, before="nothing") == []
    assert await store.of("nobody", limit=9) == []


async def test_a_group_is_silent_until_somebody_speaks(store, messages):
    await store.create(a_group("one", "writer"))
    await store.create(a_group("two", "writer"))
    assert [group.id for group in await store.silent(limit=9)] == ["two", "one"]
    assert names((await store.silent(limit=1))[0]) == ["writer"]
    await messages.append([a_request(agent="writer", conversation_id="two")])
    assert [group.id for group in await store.silent(limit=9)] == ["one"]
    await store.close("one", 2.0)
    assert await store.silent(limit=9) == []


class TestIdle:
    async def test_one_is_closed_once_nobody_has_spoken_for_its_time(self, store):
        await store.create(a_group("own", idle=10.0))
        await store.create(a_group("general"))
        assert await store.close_idle(10.9, idle=20.0) == []
        assert await store.close_idle(11.0, idle=20.0) == ["own"]
        assert await store.close_idle(21.0, idle=20.0) == ["general"]
        assert await store.close_idle(99.0, idle=20.0) == []
        assert store.find("own").closed_at == 11.0

    async def test_without_a_time_none_is_closed(self, store):
        await store.create(a_group())
        assert await store.close_idle(1e10, idle=None) == []

    async def test_speaking_joining_and_reopening_begin_the_time_anew(self, store, messages):
        for id in ("spoken", "joined", "reopened", "quiet"):
            await store.create(a_group(id))
        await messages.append([a_request(conversation_id="spoken", created_at=50.0)])
        await store.join("joined", takes_part("writer", 50.0))
        await store.close("reopened", 2.0)
        await store.reopen("reopened", 50.0)
        assert await store.close_idle(59.0, idle=10.0) == ["quiet"]
        assert await store.close_idle(60.0, idle=10.0) == ["joined", "reopened", "spoken"]


class TestErasing:
    async def test_nothing_is_left_of_an_erased_one(self, store):
        await store.create(a_group("g1", "writer"))
        await store.create(a_group("g2", "writer"))
        assert await store.erase("g1")
        assert store.find("g1") is None
        assert await store.participations("g1") == []
        assert [group.id for group in await store.of("writer", limit=9)] == ["g2"]

    async def test_those_who_left_are_forgotten_and_the_others_stay(self, store):
        await store.create(a_group("g1", "writer", "reviewer"))
        await store.leave("g1", "writer", 2.0)
        await store.forget_departed("g1")
        assert [one.name for one in await store.participations("g1")] == ["reviewer"]

    async def test_a_person_goes_with_the_conversations_named_and_from_all_others(self, store):
        for id in ("spoke", "joined", "left", "others"):
            people = () if id == "others" else (takes_part("ada", kind="person"),)
            await store.create(a_group(id, participants=(takes_part("writer"), *people)))
        await store.leave("left", "ada", 2.0)
        gone = await store.forget("ada", ["spoke", "no group"])
        assert (gone.groups, gone.participations) == (("spoke",), 3)
        assert store.find("spoke") is None
        for id in ("joined", "left", "others"):
            assert [one.name for one in await store.participations(id)] == ["writer"]
        gone = await store.forget("ada", [])
        assert (gone.groups, gone.participations) == ((), 0)

    async def test_an_agent_of_the_same_name_stays(self, store):
        await store.create(a_group("g1", "ada"))
        assert (await store.forget("ada", [])).participations == 0
        assert names(store.find("g1")) == ["ada"]


async def test_a_reset_conversation_is_silent_again(store, messages):
    await store.create(a_group("g1", "writer"))
    request = a_request(agent="writer", conversation_id="g1")
    await messages.append([request])
    await messages.commit([Settle(message_id=request.id, state=MessageState.FAILED)])
    await messages.erase(conversation_id="g1")
    assert [group.id for group in await store.silent(limit=9)] == ["g1"]


IDS, NAMES = st.sampled_from(["g1", "g2", "g3"]), st.sampled_from(["ada", "bob", "writer"])
KINDS = st.sampled_from(["agent", "person"])
STEPS = st.one_of(
    st.tuples(st.just("create"), IDS, st.lists(NAMES, unique=True, max_size=3), st.sampled_from([None, 3.0, 8.0])),
    st.tuples(st.just("join"), IDS, NAMES, KINDS),
    st.tuples(st.just("leave"), IDS, NAMES),
    st.tuples(st.sampled_from(["close", "reopen", "forget_departed", "erase", "say"]), IDS),
    st.tuples(st.just("close_idle"), st.sampled_from([None, 5.0])),
    st.tuples(st.just("forget"), NAMES, st.lists(IDS, unique=True, max_size=2)),
)


async def step(store, messages, now: float, verb: str, *arguments):
    """Carry out a step at that time; what it answered."""
    match verb:
        case "create":
            id, who, idle = arguments
            participants = tuple(takes_part(name, now) for name in who)
            return await store.create(a_group(id, created_at=now, idle=idle, participants=participants))
        case "join":
            id, name, kind = arguments
            return await store.join(id, takes_part(name, now, kind=kind))
        case "leave" | "close" | "reopen":
            return await getattr(store, verb)(*arguments, now)
        case "say":
            request = a_request(conversation_id=arguments[0], created_at=now)
            return len(await messages.append([request]))
        case "close_idle":
            return await store.close_idle(now, idle=arguments[0])
        case _:
            return await getattr(store, verb)(*arguments)


async def seen(store) -> list[object]:
    """Everything that a store tells."""
    told: list[object] = [await store.silent(limit=9)]
    for name in ("ada", "bob", "writer"):
        told.append(await store.of(name, limit=9))
        told.append(await store.of(name, limit=9, before="g2"))
    for id in ("g1", "g2", "g3"):
        told += [store.find(id), await store.participations(id)]
    return told


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, max_size=25))
async def test_whatever_is_done_all_stores_tell_the_same(steps):
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with open_database(Path(folder) / "caxton.db") as database:
            forgetful = MemoryMessageStore()
            every = [
                (MemoryGroupStore(forgetful), forgetful),
                (SqliteGroupStore(database), SqliteMessageStore(database)),
            ]
            for now, (verb, *arguments) in enumerate(steps, 1):
                first, second = [await step(store, messages, float(now), verb, *arguments) for store, messages in every]
                assert first == second, (verb, *arguments)
                first, second = [await seen(store) for store, _ in every]
                assert first == second, (verb, *arguments)
