"""Whatever is done to stores of messages, in whatever order: they tell the same, and it is what a simple model says."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.messages import a_refusal, a_request, an_answer

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.delivery import Bury, Change, Failure, Remember, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import Message, MessageState
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryMessageStore

AGENTS = ("helper", "other", "third")
TALKS = ("one", "two", "three")
TRACES = ("a" * 32, "b" * 32)
POISON = "poison"
REFUSE = f"""
CREATE TRIGGER IF NOT EXISTS refuse BEFORE INSERT ON messages WHEN NEW.id = '{POISON}'
BEGIN SELECT raise(ABORT, 'on purpose'); END
"""

requests = st.builds(
    lambda agent, talk, sender, key, trace, due, addressed: a_request(
        agent=agent,
        conversation_id=talk,
        sender=sender,
        idempotency_key=key,
        trace=trace and f"00-{trace}-00f067aa0ba902b7-01",
        reply_by=due,
        addressed=addressed,
    ),
    agent=st.sampled_from(AGENTS),
    talk=st.sampled_from(TALKS),
    sender=st.sampled_from(("user", *AGENTS)),
    key=st.sampled_from([None, None, "one", "two"]),
    trace=st.sampled_from([None, *TRACES]),
    addressed=st.sampled_from([None, None, "capability:charts", "group:one"]),
    due=st.sampled_from([None, None, 1_800_000_010.0, 1_900_000_000.0]),
)
failures = st.builds(
    lambda attempt, at, code: Failure(attempt=attempt, at=at, error=ErrorReport(code=code, message="It failed.")),
    attempt=st.integers(1, 5),
    at=st.floats(0, 100),
    code=st.sampled_from([Code.INTERNAL, Code.PROVIDER_TIMEOUT]),
)


class Stores(RuleBasedStateMachine):
    """SQLite and memory side by side; `model` has the state of each message that is there, by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = MemoryMessageStore()
        self.sent: list[Message] = []
        self.model: dict[str, MessageState] = {}
        self.keys: dict[tuple[str, str, str], str] = {}
        self.runner.run(self.open())

    async def open(self) -> None:
        path = Path(self.folder.name) / "caxton.db"
        self.database = await self.stack.enter_async_context(open_database(path))
        await self.database.write(lambda session: session.execute(REFUSE))
        self.store = SqliteMessageStore(self.database)

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    def both(self, name: str, *arguments: object, **named: object) -> object:
        """Do the same to both; they have to say the same, which is returned."""

        async def answers() -> list[object]:
            said = []
            for store in (self.store, self.memory):
                try:
                    said.append(await getattr(store, name)(*arguments, **named))
                except CaxtonError as error:
                    said.append(error.report())
            return said

        store, memory = self.runner.run(answers())
        assert store == memory, name
        return store

    def accepted(self, message: Message) -> None:
        """What a message that is sent does to the model."""
        key = message.idempotency_key
        by_capability = (message.addressed or "").startswith("capability:")
        place = (message.addressed if by_capability else message.receiver, message.sender, key or "")
        if message.id not in self.model and not (key and place in self.keys):
            self.model[message.id] = MessageState.ACCEPTED
            if key:
                self.keys[place] = message.id

    def kept(self, reply: Message | None, *, deliver: bool) -> None:
        if reply and reply.id not in self.model:
            self.model[reply.id] = MessageState.ACCEPTED if deliver else MessageState.SETTLED

    def resynchronised(self) -> None:
        """After what deletes, the model takes what is left from the store that is simpler to be right in."""
        self.model = {one: stored.state for one in self.model if (stored := self.memory.find(one))}
        self.keys = {
            place: one
            for place, one in self.keys.items()
            if self.memory.keyed(receiver=place[0], sender=place[1], key=place[2])
        }

    @rule(batch=st.lists(requests, max_size=5), data=st.data())
    def append(self, batch: list[Message], data: st.DataObject) -> None:
        if self.sent and data.draw(st.booleans()):
            # One that was erased may come back: to the store it is new.
            again = msgspec.structs.replace(data.draw(st.sampled_from(self.sent)), content={"text": "again"})
            batch.insert(data.draw(st.integers(0, len(batch))), again)
        self.sent += batch
        for message in batch:
            self.accepted(message)
        self.both("append", batch)

    def draw_change(self, data: st.DataObject) -> Change:
        kind = data.draw(st.sampled_from(["send", "settle", "settle", "retry", "bury", "remember"]))
        if kind == "send" or not self.sent:
            message = data.draw(requests)
            self.sent.append(message)
            return Send(message)
        request = data.draw(st.sampled_from(self.sent))
        reply = data.draw(st.sampled_from([an_answer(request), a_refusal(request), None]))
        deliver = data.draw(st.booleans()) and reply is not None
        if kind == "settle":
            state = data.draw(st.sampled_from([MessageState.SETTLED, MessageState.FAILED]))
            return Settle(message_id=request.id, state=state, reply=reply, deliver=deliver)
        if kind == "retry":
            return Retry(message_id=request.id, failure=data.draw(failures), at=data.draw(st.floats(0, 100)))
        if kind == "bury":
            return Bury(message_id=request.id, failure=data.draw(failures), reply=reply, deliver=deliver)
        value = data.draw(st.sampled_from([None, 1, {"a": [True]}]))
        return Remember(agent=data.draw(st.sampled_from(AGENTS)), key="k", value=value)

    @rule(data=st.data(), count=st.integers(0, 6))
    def commit(self, data: st.DataObject, count: int) -> None:
        changes = [self.draw_change(data) for _ in range(count)]
        for change in changes:
            match change:
                case Send(message):
                    self.accepted(message)
                case Settle(message_id=one, state=state, reply=reply, deliver=deliver):
                    if self.model.get(one) is MessageState.ACCEPTED:
                        self.model[one] = state
                        self.kept(reply, deliver=deliver)
                case Bury(message_id=one, reply=reply, deliver=deliver):
                    if self.model.get(one) is MessageState.ACCEPTED:
                        self.model[one] = MessageState.DEAD
                        self.kept(reply, deliver=deliver)
        self.both("commit", changes)

    @rule(data=st.data(), count=st.integers(0, 6))
    def commit_that_fails(self, data: st.DataObject, count: int) -> None:
        """A message that cannot be stored in the middle of it: nothing changes."""
        changes = [self.draw_change(data) for _ in range(count)]
        changes.insert(data.draw(st.integers(0, count)), Send(a_request(id=POISON)))

        async def refused() -> Code:
            try:
                await self.store.commit(changes)
            except CaxtonError as error:
                return error.code
            raise AssertionError("it was stored")

        assert self.runner.run(refused()) is Code.STORAGE_FAILED

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.both("begin", data.draw(st.sampled_from(self.sent)).id)

    @rule(data=st.data(), receiver=st.sampled_from([None, *AGENTS]))
    def revive(self, data: st.DataObject, receiver: str | None) -> None:
        named = data.draw(st.lists(st.sampled_from([one.id for one in self.sent]), max_size=4)) if self.sent else []
        revived = self.both("revive", named, receiver=receiver)
        assert {one.id for one in revived} == {one for one in named if self.model.get(one) is MessageState.DEAD}
        for one in revived:
            self.model[one.id] = MessageState.ACCEPTED

    @rule(before=st.sampled_from([None, 50.0]), all=st.booleans(), data=st.data())
    def purge(self, before: float | None, all: bool, data: st.DataObject) -> None:
        named = None if all or not self.sent else data.draw(st.lists(st.sampled_from([one.id for one in self.sent])))
        self.both("purge", before=before, message_ids=named)
        assert all is False or before is not None or MessageState.DEAD not in self.memory_states()
        self.resynchronised()

    def memory_states(self) -> list[MessageState]:
        return [stored.state for one in self.model if (stored := self.memory.find(one))]

    @rule(now=st.sampled_from([1_800_000_005.0, 1_850_000_000.0]), old=st.booleans(), limit=st.integers(1, 9))
    def expire(self, now: float, old: bool, limit: int) -> None:
        before = now if old else None
        for message in self.both("expire", now, unclaimed_before=before, running=["third"], limit=limit):
            assert message.receiver != "third"
            assert self.model[message.id] is MessageState.ACCEPTED
            self.model[message.id] = MessageState.DEAD

    @rule(before=st.sampled_from([1_800_000_005.0, 1_850_000_000.0]))
    def forget_keys(self, before: float) -> None:
        self.both("forget_keys", before)
        self.resynchronised()

    @rule(before=st.sampled_from([50.0, 1_850_000_000.0]), dead=st.booleans())
    def archive(self, before: float, dead: bool) -> None:
        old = self.both("archivable", before, limit=5, dead=dead)
        assert all((one.state is MessageState.DEAD) is dead for one in old)
        assert self.both("drop", [one.message.id for one in old]) == len(old)
        self.resynchronised()

    @rule(talk=st.sampled_from([None, *TALKS]), agent=st.sampled_from([None, *AGENTS]))
    def erase(self, talk: str | None, agent: str | None) -> None:
        self.both("erase", conversation_id=talk, agent=agent)
        self.resynchronised()

    @rule(person=st.sampled_from(["user", "helper"]))
    def forget(self, person: str) -> None:
        self.both("forget", person)
        self.resynchronised()

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.run(self.open())

    @invariant()
    def each_message_is_where_the_model_has_it(self) -> None:
        for store in (self.store, self.memory):
            known = {one: stored.state for one in self.model if (stored := store.find(one))}
            assert known == self.model

    @invariant()
    def they_tell_the_same(self) -> None:
        for agent in ("user", *AGENTS):
            claimed = [
                [msgspec.structs.replace(one, seq=0) for one in self.runner.run(store.claim(agent, after=0, limit=99))]
                for store in (self.store, self.memory)
            ]
            assert claimed[0] == claimed[1]
            waiting = [one for one in claimed[0] if self.model[one.message.id] is MessageState.ACCEPTED]
            assert len(waiting) == self.both("waiting", agent)
            assert self.store.recall(agent, "k") == self.memory.recall(agent, "k")
        self.both("receivers")
        for agent in (None, *AGENTS):
            for talk in (None, *TALKS):
                self.both("messages", agent=agent, conversation_id=talk, limit=99)
        for trace in TRACES:
            self.both("traced", trace, limit=99)
        self.both("dead_letters", limit=99)
        self.both("death_counts")

    @invariant()
    def conversations_are_counted(self) -> None:
        for talk in TALKS:
            counted = [store.conversation(talk) for store in (self.store, self.memory)]
            assert [one and (one.agent, one.messages) for one in counted[:1]] == [
                one and (one.agent, one.messages) for one in counted[1:]
            ]
            assert self.store.history(talk, "helper", 9) == self.memory.history(talk, "helper", 9)

    @precondition(lambda self: len(self.sent) % 3 == 0)
    @invariant()
    def conversations_are_listed(self) -> None:
        listed = [self.runner.run(store.conversations(agent=None, limit=9)) for store in (self.store, self.memory)]
        assert [(one.id, one.agent, one.messages) for one in listed[0]] == [
            (one.id, one.agent, one.messages) for one in listed[1]
        ]

    @invariant()
    def each_key_stands_for_its_message(self) -> None:
        for (receiver, sender, key), one in self.keys.items():
            for store in (self.store, self.memory):
                assert store.keyed(receiver=receiver, sender=sender, key=key).id == one
        for message in self.sent:
            assert self.store.reply_to(message.id) == self.memory.reply_to(message.id)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
