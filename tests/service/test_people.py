"""What is kept of a person is found, and erased everywhere."""

from types import SimpleNamespace

import pytest
from support.stores import add, settle

from caxton.bus.archive import Archive, ArchivedMessage, line_of, read_archive
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.bus.stores.sqlite_conversations import SqliteGroupStore
from caxton.domain.agent import MemoryScope
from caxton.domain.conversation import Group, Participant, ParticipantKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemorySpace, NewMemory
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.turn import TurnTrace
from caxton.domain.usage import ModelUse, UsageBy
from caxton.memory.sqlite import open_sqlite_memory
from caxton.providers.prices import KnownPrices
from caxton.runtime.ledger import Ledger
from caxton.runtime.summaries import Summaries
from caxton.runtime.traces import Traces
from caxton.service.people import PeopleService
from caxton.storage.database import open_database
from caxton.storage.usage import SqliteUsageStore
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder

HELPER = MemorySpace(scope=MemoryScope.AGENT, owner="helper")


@pytest.fixture
async def house(tmp_path):
    clock, traces = FakeClock(), Traces()
    new_id = IdSource(clock)
    async with (
        open_database(tmp_path / "caxton.db") as database,
        open_sqlite_memory(database, WordEmbedder(), clock=clock, new_id=new_id) as memory,
    ):
        store, usage = SqliteMessageStore(database), SqliteUsageStore(database)
        ledger = Ledger(usage, KnownPrices({}), clock)
        house = SimpleNamespace(clock=clock, new_id=new_id, store=store, memory=memory, usage=usage, traces=traces)
        house.ledger, house.held = ledger, lambda: b"".join(one.read_bytes() for one in tmp_path.glob("caxton.db*"))
        house.people = PeopleService(
            store=store,
            memory=memory,
            usage=usage,
            ledger=ledger,
            summaries=Summaries(store=store, providers=None, models=None, clock=clock),
            traces=traces,
            database=database,
            groups=SqliteGroupStore(database),
            archive=(archive := Archive(tmp_path / "archive")),
        )
        house.archive = archive
        house.groups = SqliteGroupStore(database)
        yield house


async def say(house, sender: str, text: str, conversation: str, *, answered: bool = True) -> str:
    """A request and its reply, with all that a turn leaves behind."""
    common = {"conversation_id": conversation, "created_at": house.clock.now()}
    request = Message(
        id=house.new_id(),
        performative=Performative.REQUEST,
        sender=sender,
        receiver="helper",
        content={"text": text},
        **common,
    )
    await add(house.store, request)
    house.ledger.note(
        ModelUse(at=house.clock.now(), agent="helper", conversation_id=conversation, provider="p", model="m")
    )
    trace = TurnTrace(
        request=request.id,
        agent="helper",
        agent_version="1",
        conversation_id=conversation,
        provider="p",
        model="m",
        started_at=0.0,
        prompt=(),
        prompt_tokens=1,
    )
    house.traces.keep(trace)
    if answered:
        reply = Message(
            id=house.new_id(),
            performative=Performative.INFORM,
            sender="helper",
            receiver=sender,
            content={"text": f"echo: {text}"},
            in_reply_to=request.id,
            **common,
        )
        await settle(house.store, request.id, MessageState.SETTLED, reply)
    return request.id


async def test_of_somebody_unknown_there_is_nothing(house):
    view = await house.people.show(person="nobody")
    assert (view.memories, view.conversations) == (0, [])
    gone = await house.people.forget(person="nobody")
    assert (gone.memories, gone.conversations, gone.messages, gone.waiting, gone.uses) == (0, 0, 0, 0, 0)


async def test_a_person_is_found_and_then_gone_from_everywhere(house):
    asked = await say(house, "xanthippe", "I live in Quux Lane.", "xanthippe:helper")
    shared = await say(house, "xanthippe", "I said Quux.", "shared")
    kept = await say(house, "user", "tea, please", "user:helper")
    await house.memory.remember(HELPER, [NewMemory(value="lives in Quux Lane", subject="xanthippe", key="Zanzibar")])
    await house.memory.remember(HELPER, [NewMemory(value="likes tea", subject="user")])
    talk = MemorySpace(scope=MemoryScope.SESSION, owner="shared")
    await house.memory.remember(talk, [NewMemory(value="somebody said Quux", subject="user")])

    view = await house.people.show(person="xanthippe")
    assert (view.memories, [one.id for one in view.conversations]) == (1, ["shared", "xanthippe:helper"])
    gone = await house.people.forget(person="xanthippe")
    assert (gone.memories, gone.conversations, gone.messages, gone.waiting, gone.uses) == (2, 2, 4, 0, 2)

    view = await house.people.show(person="xanthippe")
    assert (view.memories, view.conversations) == (0, [])
    assert [house.traces.find(id) is None for id in (asked, shared, kept)] == [True, True, False]
    assert [entry.value for entry in await house.memory.newest(MemoryFilter(spaces=None), limit=9)] == ["likes tea"]
    sums = {one.key: one.completions for one in await house.usage.sums(UsageBy.CONVERSATION, since=0)}
    assert sums == {"": 2, "user:helper": 1}
    held = house.held().lower()
    assert b"tea, please" in held
    for trace in (b"xanthippe", b"quux", b"zanzibar"):
        assert trace not in held


async def test_what_is_not_answered_yet_is_said(house):
    await say(house, "zoe", "Hello", "zoe:helper", answered=False)
    gone = await house.people.forget(person="zoe")
    assert (gone.messages, gone.waiting) == (1, 1)


async def test_uses_of_a_conversation_that_was_reset_before_lose_its_name_too(house):
    await say(house, "zoe", "Hello", "zoe:helper")
    await house.store.erase(conversation_id="zoe:helper")
    assert (await house.people.forget(person="zoe")).uses == 1
    assert b"zoe" not in house.held()


async def test_of_groups_a_person_goes_with_those_in_which_they_spoke_and_out_of_the_others(house):
    person = Participant(name="zoe", kind=ParticipantKind.PERSON, joined_at=1.0)
    agent = Participant(name="helper", kind=ParticipantKind.AGENT, joined_at=1.0)
    for id, metadata in (("spoke", {"for": "zoe of Quux Lane"}), ("listened", {}), ("left", {})):
        await house.groups.create(Group(id=id, created_at=1.0, metadata=metadata, participants=(agent, person)))
    await house.groups.leave("left", "zoe", 2.0)
    await say(house, "zoe", "Hello", "spoke")
    assert (await house.people.show(person="zoe")).groups == ["listened", "spoke"]
    gone = await house.people.forget(person="zoe")
    assert (gone.conversations, gone.participations) == (1, 3)
    assert (await house.people.show(person="zoe")).groups == []
    assert house.groups.find("spoke") is None
    assert [one.name for one in house.groups.find("listened").participants] == ["helper"]
    held = house.held().lower()
    assert b"zoe" not in held
    assert b"quux" not in held


async def test_what_was_archived_of_a_person_goes_too(house):
    request = await say(house, "zoe", "Quux", "zoe:helper")
    other = await say(house, "ada", "tea", "ada:helper")

    def put(*ids: str) -> None:
        lines = [ArchivedMessage(message=house.store.find(id).message, state=MessageState.SETTLED) for id in ids]
        house.archive.add([line_of(one) for one in lines], house.clock.now())

    put(request, other)
    gone = await house.people.forget(person="zoe")
    assert (gone.archived, gone.messages) == (1, 2)
    (path,) = house.archive.files()
    assert [one.message.id for one in read_archive(path)] == [other]


async def test_where_the_archive_cannot_be_read_nothing_is_erased_yet(house):
    await say(house, "zoe", "Quux", "zoe:helper")
    house.archive.add([b"no JSON\n"], house.clock.now())
    with pytest.raises(CaxtonError) as failure:
        await house.people.forget(person="zoe")
    assert failure.value.code is Code.STORAGE_FAILED
    assert house.archive.files()[0].name in failure.value.why
    assert house.store.conversation("zoe:helper").messages == 2
