"""What is SQLite's own in the message store; what every store does is in tests/contracts."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.messages import a_refusal, a_request, accepted, an_answer

from caxton.bus.stores import sqlite
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryMessageStore

AGENTS = ("helper", "other", "third")
TALKS = ("one", "two", "three")


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        yield database


@pytest.fixture
def store(database):
    return SqliteMessageStore(database)


class TestSurrogates:
    """Half a character is not text: JSON from outside can hold one, UTF-8 cannot."""

    @pytest.mark.parametrize("field", ["text", "conversation_id", "id"])
    async def test_a_message_with_half_a_character_is_refused(self, store, field):
        broken = {"content": {"text": "\ud83d"}} if field == "text" else {field: "\udc00"}
        with pytest.raises(CaxtonError) as failure:
            await store.append(a_request(**broken))
        assert failure.value.code is Code.BODY_INVALID
        assert "surrogate" in failure.value.message
        assert await store.accepted("helper") == []

    async def test_a_reply_with_half_a_character_leaves_its_request_to_be_answered_again(self, store):
        request = a_request()
        await store.append(request)
        with pytest.raises(CaxtonError) as failure:
            await store.settle(request.id, MessageState.SETTLED, an_answer(request, "\ud83d"))
        assert failure.value.code is Code.BODY_INVALID
        assert await store.accepted("helper") == [accepted(request)]
        assert store.conversation(request.conversation_id).messages == 1


class TestCosts:
    """Every query goes by an index and sorts nothing, so that it costs what it returns."""

    def plan(self, database, query: str) -> list[str]:
        values = ("x",) * query.count("?")
        return [row[3] for row in database.read(lambda session: session.execute(f"EXPLAIN QUERY PLAN {query}", values))]

    @pytest.mark.parametrize(
        "query",
        [
            sqlite.FIND,
            sqlite.REPLY,
            sqlite.HISTORY,
            sqlite.CONVERSATION,
            *(
                sqlite.MESSAGES.format(where=sqlite._where(agent=agent, conversation_id=conversation)[0])
                for agent in (None, "helper")
                for conversation in (None, "c")
            ),
            sqlite.CONVERSATIONS.format(where=""),
            sqlite.CONVERSATIONS.format(where=sqlite._where(agent="helper")[0]),
        ],
        ids=lambda query: " ".join(query.split()),
    )
    def test_a_query_reads_what_it_returns(self, database, query):
        plan = self.plan(database, query)
        assert plan
        assert all(step.startswith("SEARCH") for step in plan), plan

    def test_what_waits_is_found_without_looking_at_the_rest(self, database):
        assert self.plan(database, sqlite.ACCEPTED) == [
            "SEARCH messages USING INDEX messages_accepted_by_agent (agent=?)"
        ]

    def test_the_first_message_with_a_key_is_found_by_it(self, database):
        (step,) = self.plan(database, sqlite.KEYED)
        assert step.startswith("SEARCH messages USING INDEX messages_by_key")

    def test_within_a_conversation_the_agents_other_messages_are_not_looked_at(self, database):
        where, _ = sqlite._where(agent="helper", conversation_id="c")
        assert "messages_by_conversation" in self.plan(database, sqlite.MESSAGES.format(where=where))[0]


async def test_everything_is_there_when_the_database_is_opened_again(tmp_path):
    request, waiting = a_request(), a_request()
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteMessageStore(database)
        await store.append(request)
        await store.append(waiting)
        await store.begin(waiting.id)
        reply = an_answer(request)
        await store.settle(request.id, MessageState.SETTLED, reply)
        conversation = store.conversation(request.conversation_id)
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteMessageStore(database)
        assert store.reply_to(request.id) == reply
        assert await store.accepted("helper") == [accepted(waiting, attempts=1)]
        assert store.conversation(request.conversation_id) == conversation


async def test_a_reply_is_stored_with_the_end_of_its_request_or_not_at_all(database, store):
    request = a_request()
    await store.append(request)
    await database.write(
        lambda session: session.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON conversations BEGIN SELECT raise(ABORT, 'on purpose'); END"
        )
    )
    with pytest.raises(CaxtonError):
        await store.settle(request.id, MessageState.SETTLED, an_answer(request))
    assert await store.accepted("helper") == [accepted(request)]
    assert store.reply_to(request.id) is None


class Talks(RuleBasedStateMachine):
    """Whatever is done to it, in whatever order, the store tells the same as the one that keeps lists in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.model = MemoryMessageStore()
        self.sent: list[Message] = []
        self.runner.run(self.open())

    async def open(self) -> None:
        path = Path(self.folder.name) / "caxton.db"
        self.database = await self.stack.enter_async_context(open_database(path))
        self.store = SqliteMessageStore(self.database)

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def both(self, name: str, *arguments: object, **named: object) -> None:
        """Do the same to store and model; they have to say the same."""

        async def answers() -> list[object]:
            said = []
            for store in (self.store, self.model):
                try:
                    said.append(await getattr(store, name)(*arguments, **named))
                except CaxtonError as error:
                    said.append(error.report())
            return said

        store, model = self.runner.run(answers())
        assert store == model

    @rule(
        agent=st.sampled_from(AGENTS),
        talk=st.sampled_from(TALKS),
        sender=st.sampled_from(("user", *AGENTS)),
        key=st.sampled_from([None, None, "one", "two"]),
    )
    def append(self, agent: str, talk: str, sender: str, key: str | None) -> None:
        message = a_request(agent=agent, conversation_id=talk, sender=sender, idempotency_key=key)
        self.sent.append(message)
        self.both("append", message)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.sent))
        # One that was erased may come back: to the store it is new.
        self.both("append", msgspec.structs.replace(message, content={"text": "again"}))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.both("begin", data.draw(st.sampled_from(self.sent)).id)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), answer=st.sampled_from(["inform", "failure", "nothing"]))
    def settle(self, data: st.DataObject, answer: str) -> None:
        request = data.draw(st.sampled_from(self.sent))
        reply = {"inform": an_answer(request), "failure": a_refusal(request), "nothing": None}[answer]
        state = MessageState.FAILED if answer == "failure" else MessageState.SETTLED
        self.both("settle", request.id, state, reply)

    @rule(talk=st.sampled_from(TALKS))
    def erase_conversation(self, talk: str) -> None:
        self.both("erase", conversation_id=talk)

    @rule(agent=st.sampled_from(AGENTS))
    def erase_agent(self, agent: str) -> None:
        self.both("erase", agent=agent)

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.run(self.open())

    @invariant()
    def they_tell_the_same(self) -> None:
        for agent in AGENTS:
            self.both("accepted", agent)
        for agent in (None, *AGENTS):
            for talk in (None, *TALKS):
                self.both("messages", agent=agent, conversation_id=talk, limit=99)
        for message in self.sent:
            assert self.store.find(message.id) == self.model.find(message.id)
            assert self.store.reply_to(message.id) == self.model.reply_to(message.id)
        for talk in TALKS:
            assert counted(self.store, talk) == counted(self.model, talk)
            for agent in AGENTS:
                for limit in (1, 3, 99):
                    assert self.store.history(talk, agent, limit) == self.model.history(talk, agent, limit)

    @invariant()
    def pages_are_the_list_cut_up(self) -> None:
        for agent in (None, *AGENTS):
            listed = self.runner.run(self.model.conversations(agent=agent, limit=99))
            before, paged = None, []
            while page := self.runner.run(self.store.conversations(agent=agent, limit=1, before=before)):
                before = page[-1].id
                paged += page
            assert [(one.id, one.messages) for one in paged] == [(one.id, one.messages) for one in listed]


def counted(store: SqliteMessageStore | MemoryMessageStore, talk: str) -> tuple[str, int] | None:
    """Agent and length of a conversation. Its times are left out: the model forgets those of erased messages."""
    conversation = store.conversation(talk)
    return (conversation.agent, conversation.messages) if conversation else None


TestTalks = Talks.TestCase
TestTalks.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
