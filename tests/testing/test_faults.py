"""The faults themselves: each does what it says, and nothing else."""

import asyncio
from itertools import islice

import pytest
from support.messages import a_request

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import MessageState
from caxton.testing.bus import open_test_bus
from caxton.testing.clock import FakeClock
from caxton.testing.faults import Faults, FaultyMailbox, FaultyStore, MailFault, StoreFault
from caxton.testing.messages import MemoryMessageStore

DEADLINE = 5.0


class Box:
    """A mailbox that keeps what it is given."""

    depth = 0
    limit = 10

    def __init__(self):
        self.got = []

    def put(self, message, *, again=False, not_before=None):
        self.got.append(message.text)


@pytest.fixture
def clock():
    return FakeClock()


def faulty(clock, *faults):
    """A store in memory, and over it one with these faults."""
    store, faults = MemoryMessageStore(), Faults(clock, store=faults)
    return store, FaultyStore(store, faults), faults


async def tried(work):
    """A task that has got as far as it gets without time passing."""
    task = asyncio.ensure_future(work)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("fault", [StoreFault.FULL, StoreFault.LOCKED])
async def test_a_store_that_fails_has_stored_nothing_and_works_the_next_time(clock, fault):
    beneath, store, _ = faulty(clock, fault)
    message = a_request()
    with pytest.raises(CaxtonError) as caught:
        await store.append([message])
    assert caught.value.code is Code.STORAGE_FAILED
    assert beneath.find(message.id) is None
    await store.append([message])
    assert beneath.find(message.id)


async def test_a_slow_store_is_done_when_its_time_has_come(clock):
    beneath, store, faults = faulty(clock, StoreFault.DELAY)
    task = await tried(store.append([message := a_request()]))
    assert beneath.find(message.id) is None
    await clock.advance(faults.delay)
    assert await task == [message]


@pytest.mark.parametrize(("fault", "stored"), [(StoreFault.CRASH_BEFORE, False), (StoreFault.CRASH_AFTER, True)])
async def test_a_dead_process_hears_nothing_any_more(clock, fault, stored):
    beneath, store, faults = faulty(clock, fault)
    first = await tried(store.append([message := a_request()]))
    second = await tried(store.append([other := a_request()]))
    assert faults.dead.is_set()
    assert not first.done()
    assert not second.done()
    assert (beneath.find(message.id) is not None) is stored
    assert beneath.find(other.id) is None
    for task in (first, second):
        task.cancel()


@pytest.mark.parametrize(
    ("fault", "at_once", "later"),
    [
        (None, ["a1", "a2", "b1"], []),
        (MailFault.DUPLICATE, ["a1", "a1", "a2", "b1"], []),
        (MailFault.DROP, ["b1"], []),
        (MailFault.DELAY, ["b1"], ["a1", "a2"]),
        (MailFault.REORDER, ["b1", "a1", "a2"], []),
    ],
)
async def test_a_message_meets_its_fault_and_conversations_keep_their_order(clock, fault, at_once, later):
    box = Box()
    faults = Faults(clock, mail=[fault])
    mailbox = FaultyMailbox(box, faults)
    for text in ("a1", "a2", "b1"):
        mailbox.put(a_request(text, conversation_id=text[0]))
    assert box.got == at_once
    assert mailbox.depth == len(later)
    await clock.advance(faults.delay)
    assert box.got == at_once + later


def test_the_same_seed_makes_the_same_faults(clock):
    def faults(seed):
        made = Faults.from_seed(clock, seed, share=0.5)
        return [made.store.next() for _ in range(50)], [made.mail.next() for _ in range(50)]

    assert faults(7) == faults(7) != faults(8)
    assert set(faults(7)[0]) == {None, *StoreFault}


def test_faults_may_be_armed_and_ended_by_hand(clock):
    faults = Faults(clock, store=islice(iter(lambda: StoreFault.FULL, None), 5))
    faults.store.arm(StoreFault.LOCKED)
    assert [faults.store.next(), faults.store.next()] == [StoreFault.LOCKED, StoreFault.FULL]
    faults.end()
    assert faults.store.next() is None
    assert faults.store.happened == [StoreFault.LOCKED, StoreFault.FULL]


async def test_a_bus_that_died_leaves_its_store_to_the_next_one(clock):
    store, faults, handled = MemoryMessageStore(), Faults(clock), []

    async def handle(message):
        if faults.dead.is_set():
            await faults.never()
        handled.append(message.text)

    async with open_test_bus(store, faults=faults) as bus, bus.serve("helper", handle):
        faults.store.arm(StoreFault.CRASH_AFTER)
        sending = await tried(bus.send(message := a_request("Hello")))
        assert bus.is_dead
        sending.cancel()
    assert handled == []
    assert store.find(message.id).state is MessageState.ACCEPTED
    faults.dead.clear()
    async with open_test_bus(store, faults=faults) as bus, bus.serve("helper", handle):
        async with asyncio.timeout(DEADLINE):
            while store.find(message.id).state is not MessageState.SETTLED:
                await asyncio.sleep(0)
    assert handled == ["Hello"]


async def test_without_faults_it_is_the_bus_that_the_server_has():
    async def handle(message):
        return None

    async with open_test_bus() as bus, bus.serve("helper", handle):
        assert await bus.send(message := a_request()) == message
        assert not bus.is_dead
