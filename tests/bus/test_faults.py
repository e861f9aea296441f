"""The bus with everything going wrong beneath it, as hypothesis thinks it up, over both stores."""

import asyncio
import tempfile
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.messages import a_request, an_answer

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings, RetrySettings
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import MessageState
from caxton.storage.database import open_database
from caxton.testing.bus import open_test_bus
from caxton.testing.clock import FakeClock
from caxton.testing.faults import Faults, MailFault, StoreFault
from caxton.testing.messages import MemoryMessageStore

DEADLINE = 20.0
TALKS = ("a", "b", "c")
AGENTS = ("ada", "bob")
SETTINGS = BusSettings(mailbox=4, patience=0.0, retries=RetrySettings(attempts=3, first_delay=1.0, longest_delay=8.0))
"""Small, so that messages spill into the store too."""
TROUBLE = {
    "transient": CaxtonError(Code.PROVIDER_UNAVAILABLE, "Away."),
    "permanent": CaxtonError(Code.PROVIDER_REFUSED, "No."),
    "crash": ZeroDivisionError("on purpose"),
}

MOST = {"transient": 3, "permanent": 1, "crash": 2}
"""How many attempts fail until a message is a dead letter."""


@dataclass(frozen=True)
class Send:
    """Send one message; its handler fails `fails` times, each time in that way."""

    agent: str = "ada"
    talk: str = "a"
    key: str | None = None
    trouble: str = "transient"
    fails: int = 0


@dataclass(frozen=True)
class Together:
    """Send to both agents in one transaction."""

    talk: str = "a"


@dataclass(frozen=True)
class Arm:
    """Let the next call of the store, or the next message, meet a fault."""

    fault: StoreFault | MailFault


@dataclass(frozen=True)
class Pass:
    """Let so many seconds go by."""

    seconds: float


@dataclass(frozen=True)
class Kill:
    """The process dies now."""


class World:
    """A bus, which may die and is then opened anew over the same store, and what must be true of it."""

    def __init__(self, store) -> None:
        self.store = store
        self.clock = FakeClock()
        self.new_id = IdSource(self.clock)
        self.faults = Faults(self.clock)
        self.accepted = {}
        """Every message whose sender was told that it is accepted."""
        self.refused = []
        self.together = []
        self.keyed = defaultdict(set)
        self.attempts = Counter()
        self.wrong = []
        """Messages that were handed over before one that was accepted earlier in their conversation was dealt with."""
        self.again = []
        """Messages that were handed over once more after their end was stored."""

    @asynccontextmanager
    async def opened(self):
        """One life of the process."""
        self.faults.dead.clear()
        async with open_test_bus(self.store, SETTINGS, faults=self.faults) as bus, AsyncExitStack() as stack:
            for agent in AGENTS:
                serving = asyncio.create_task(stack.enter_async_context(bus.serve(agent, self.handle, concurrency=2)))
                await self.until(lambda serving=serving: serving.done() or self.faults.dead.is_set())
                if not serving.done():
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)
                elif error := serving.exception():
                    assert isinstance(error, CaxtonError), error
            self.bus = bus
            yield

    async def handle(self, message):
        if self.faults.dead.is_set():
            await self.faults.never()
        if self.store.find(message.id).state is not MessageState.ACCEPTED:
            self.again.append(message)
        waiting = await self.store.claim(message.receiver, after=0, limit=1000)
        talk = [one.message.id for one in waiting if one.message.conversation_id == message.conversation_id]
        if message.id not in talk[:1] and self.store.find(message.id).state is MessageState.ACCEPTED:
            self.wrong.append((message.text, talk))
        self.attempts[message.id] += 1
        if self.attempts[message.id] <= message.content["fails"]:
            raise TROUBLE[message.content["trouble"]]
        return an_answer(message, "done", id=self.new_id(), sender=message.receiver, receiver="nobody")

    def message(self, agent, talk, text="", key=None, trouble="transient", fails=0):
        content = {"text": text, "trouble": trouble, "fails": fails}
        return a_request(
            id=self.new_id(),
            agent=agent,
            conversation_id=f"{talk} {agent}",
            content=content,
            idempotency_key=key,
            created_at=self.clock.now(),
        )

    async def do(self, step):
        """Take one step of the story; a process that dies on the way is opened again by whoever tells it."""
        match step:
            case Send():
                text = step.key or str(len(self.accepted) + len(self.refused))
                message = self.message(step.agent, step.talk, text, step.key, step.trouble, step.fails)
                await self.sent(self.bus.send(message), message)
            case Together():
                await self.sent_together([self.message(agent, step.talk) for agent in AGENTS])
            case Arm(fault=StoreFault()):
                self.faults.store.arm(step.fault)
            case Arm(fault=MailFault()):
                self.faults.mail.arm(step.fault)
            case Pass():
                await self.clock.advance(step.seconds)
            case Kill():
                self.faults.crash()

    async def sent(self, sending, message):
        task = asyncio.ensure_future(sending)
        await self.until(lambda: task.done() or self.faults.dead.is_set())
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif (error := task.exception()) is None:
            stored = task.result()
            self.accepted[stored.id] = stored
            self.keyed[message.receiver, message.idempotency_key].add(stored.id)
        else:
            assert isinstance(error, CaxtonError), error
            self.refused.append((message, error.code))

    async def sent_together(self, messages):
        async def send():
            async with self.bus.transaction() as transaction:
                for message in messages:
                    transaction.send(message)
            return messages[0]

        self.together.append([message.id for message in messages])
        await self.sent(send(), messages[0])

    async def until(self, happened):
        """Wait, and let time pass where the store takes some."""
        async with asyncio.timeout(DEADLINE):
            while not happened():
                await asyncio.sleep(0)
                if StoreFault.DELAY in self.faults.store.happened:
                    await self.clock.advance(self.faults.delay / 4)

    async def drain(self):
        """Let everything come to its end."""
        async with asyncio.timeout(DEADLINE):
            while await self.store.receivers():
                await self.clock.advance(10)

    def check(self):
        assert not self.wrong, "a message went before an earlier one of its conversation"
        assert not self.again, "a message was handed over after its end"
        for id, message in self.accepted.items():
            stored = self.store.find(id)
            assert stored is not None, f"{message} was accepted and is lost"
            assert stored.message.content == message.content
            if stored.state is MessageState.DEAD:
                failures = self.store.dead_letter(id).failures
                assert len(failures) == MOST[message.content["trouble"]]
                assert message.content["fails"] >= len(failures)
            else:
                assert stored.state is MessageState.SETTLED, (stored, self.attempts[id])
        for message, code in self.refused:
            if code is Code.STORAGE_FAILED:
                assert self.store.find(message.id) is None, f"{message} was said not to be stored"
        for one, other in self.together:
            assert (self.store.find(one) is None) == (self.store.find(other) is None), "half of a transaction"
        for (_, key), ids in self.keyed.items():
            assert key is None or len(ids) == 1, f"{ids} were all accepted with the key {key}"

    async def replies(self):
        """How many replies each message has, of all that are stored."""
        every = await self.store.messages(agent=None, conversation_id=None, limit=10_000)
        return Counter(one.message.in_reply_to for one in every if one.message.in_reply_to)


@asynccontextmanager
async def a_store(kind):
    if kind == "memory":
        yield MemoryMessageStore()
        return
    with tempfile.TemporaryDirectory() as folder:
        async with open_database(Path(folder) / "caxton.db") as database:
            yield SqliteMessageStore(database)


async def tell(kind, story):
    """Live through a story, however often the process dies in it; then through one more life without any trouble."""
    steps = list(story)
    async with a_store(kind) as store:
        world = World(store)
        while steps:
            async with world.opened():
                while steps and not world.faults.dead.is_set():
                    await world.do(steps.pop(0))
                world.faults.crash()
        world.faults.end()
        async with world.opened():
            await world.drain()
        world.check()
        replies = await world.replies()
        assert set(replies.values()) <= {1}, "a message was answered twice"
        settled = [id for id in world.accepted if store.find(id).state is MessageState.SETTLED]
        assert all(replies[id] == 1 for id in settled), "a settled message has no reply"
        return world


sends = st.builds(
    Send,
    agent=st.sampled_from(AGENTS),
    talk=st.sampled_from(TALKS),
    key=st.none() | st.sampled_from(["k1", "k2"]),
    trouble=st.sampled_from(sorted(TROUBLE)),
    fails=st.sampled_from([0, 0, 0, 1, 2, 3]),
)
faults = st.builds(Arm, st.sampled_from([*StoreFault, *MailFault]))
stories = st.lists(
    st.one_of(
        sends,
        sends,
        sends,
        faults,
        st.builds(Together, st.sampled_from(TALKS)),
        st.builds(Pass, st.floats(0, 5)),
        st.just(Kill()),
    ),
    max_size=25,
)
"""With a key a message says the same each time, so that repeating it is no error."""


def same_with_a_key(story):
    """A story in which messages with one key are the same."""
    first = {}
    return [
        first.setdefault((step.agent, step.key), step) if isinstance(step, Send) and step.key else step
        for step in story
    ]


def property_test(kind, examples):
    """The property over one kind of store."""

    @given(story=stories.map(same_with_a_key))
    @example(story=[Arm(StoreFault.CRASH_AFTER), Send(), Send()])
    @example(story=[Arm(StoreFault.CRASH_BEFORE), Send(), Send()])
    @example(story=[Send(fails=2), Send(), Send(), Kill(), Pass(3)])
    @example(story=[Send(), Arm(StoreFault.FULL), Send(), Send()])
    @example(story=[Arm(MailFault.DROP), Send(), Send(), Send(talk="b")])
    @example(story=[Send(key="k1"), Kill(), Send(key="k1")])
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def run(story):
        asyncio.run(tell(kind, story))

    return run


@pytest.mark.parametrize(("kind", "examples"), [("memory", 300), ("sqlite", 25)])
def test_whatever_goes_wrong_every_accepted_message_is_dealt_with_once_and_in_its_order(kind, examples):
    property_test(kind, examples)()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("seed", range(3))
def test_with_faults_at_random_all_the_same(kind, seed):
    """One call in seven goes wrong, and the process dies again and again."""

    async def live():
        async with a_store(kind) as store:
            world = World(store)
            sent = 0
            world.faults = Faults.from_seed(world.clock, seed, share=0.15)
            while sent < 60:
                async with world.opened():
                    while sent < 60 and not world.faults.dead.is_set():
                        await world.do(Send(agent=AGENTS[sent % 2], talk=TALKS[sent % 3], fails=sent % 3))
                        await world.clock.advance(0.3)
                        sent += 1
                    world.faults.crash()
            assert len(set(world.faults.store.happened)) > 2
            world.faults.end()
            async with world.opened():
                await world.drain()
            world.check()
            assert len(world.accepted) > 10

    asyncio.run(live())


class Helper:
    """A handler that keeps what it is given, and waits with it where it is told to."""

    def __init__(self, clock):
        self.clock = clock
        self.given = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, message):
        self.given.append(message.text)
        await self.go_on.wait()
        return an_answer(message)


async def until(happened):
    async with asyncio.timeout(DEADLINE):
        while not happened():
            await asyncio.sleep(0)


@pytest.fixture
def clock():
    return FakeClock()


def state(store, message):
    return store.find(message.id).state


@pytest.mark.parametrize("fault", [StoreFault.FULL, StoreFault.LOCKED])
async def test_an_end_that_cannot_be_stored_is_stored_later_and_keeps_its_conversation_waiting(clock, fault):
    store, faults, helper = MemoryMessageStore(), Faults(clock), Helper(clock)
    async with open_test_bus(store, faults=faults) as bus, bus.serve("helper", helper, concurrency=2):
        helper.go_on.clear()
        first, second = [await bus.send(a_request(text, conversation_id="a")) for text in ("first", "second")]
        await until(lambda: helper.given)
        faults.store.arm(fault)
        helper.go_on.set()
        await until(lambda: fault in faults.store.happened)
        other = await bus.send(a_request("other", conversation_id="b"))
        await until(lambda: state(store, other) is MessageState.SETTLED)
        assert helper.given == ["first", "other"]
        assert state(store, first) is MessageState.ACCEPTED
        await clock.advance(5)
        await until(lambda: state(store, second) is MessageState.SETTLED)
        assert state(store, first) is MessageState.SETTLED
        assert helper.given == ["first", "other", "second"]


async def test_a_receiver_that_vanishes_in_the_middle_is_given_the_message_when_it_is_back(clock):
    store, helper = MemoryMessageStore(), Helper(clock)
    async with open_test_bus(store, clock=clock) as bus:
        async with bus.serve("helper", helper):
            helper.go_on.clear()
            message = await bus.send(a_request("Hello"))
            await until(lambda: helper.given)
        with pytest.raises(CaxtonError) as caught:
            await bus.send(a_request("Anybody?"))
        assert caught.value.code is Code.AGENT_NOT_FOUND
        assert state(store, message) is MessageState.ACCEPTED
        helper.go_on.set()
        async with bus.serve("helper", helper):
            await until(lambda: state(store, message) is MessageState.SETTLED)
    assert helper.given == ["Hello", "Hello"]


async def test_a_handler_that_never_returns_keeps_only_its_own_conversation(clock):
    store, given = MemoryMessageStore(), []

    async def stuck(message):
        given.append(message.text)
        if message.text == "stuck":
            await asyncio.get_running_loop().create_future()

    async with open_test_bus(store, clock=clock) as bus, bus.serve("helper", stuck, concurrency=2):
        await bus.send(a_request("stuck", conversation_id="a"))
        behind = await bus.send(a_request("behind", conversation_id="a"))
        others = [await bus.send(a_request(str(number), conversation_id=f"b{number}")) for number in range(5)]
        await until(lambda: all(state(store, one) is MessageState.SETTLED for one in others))
        assert state(store, behind) is MessageState.ACCEPTED
    assert "behind" not in given
