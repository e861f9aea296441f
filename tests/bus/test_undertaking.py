"""Contracts among hundreds on the bus itself: who answers, who does not, and who answers too late."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from support.house import until
from support.market import a_contract

from caxton.bus.contract_net import open_contracts
from caxton.bus.local import LocalBus
from caxton.domain.contract_net import ContractState, PartyState
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative, answer_to
from caxton.testing.clock import FakeClock
from caxton.testing.contracts import MemoryContractStore
from caxton.testing.memory import MemoryMessageStore

P = Performative
MANY = 300


@pytest.fixture
async def fair():
    """A bus and a contract net; participants are added with `add`, what they were told is in `told`."""
    clock, messages = FakeClock(), MemoryMessageStore()
    bus, new_id, told = LocalBus(messages, clock=clock), IdSource(clock), {}
    store = MemoryContractStore()
    async with AsyncExitStack() as stack:
        # Entered last, closed first.
        participants = await stack.enter_async_context(AsyncExitStack())
        net = await stack.enter_async_context(open_contracts(bus=bus, store=store, clock=clock, new_id=new_id))

        async def add(name: str, answer) -> None:
            async def handle(message: Message) -> Message | None:
                told.setdefault(name, []).append(message.performative)
                said = answer(message)
                performative, content = await said if asyncio.iscoroutine(said) else said
                if performative is None:
                    return None
                return answer_to(message, performative, content, id=new_id(), now=clock.now())

            await participants.enter_async_context(bus.serve(name, handle))

        yield SimpleNamespace(add=add, net=net, store=store, clock=clock, bus=bus, told=told, messages=messages)


def bidder(cost: float):
    """One that bids and then does what it is awarded."""

    def answer(message: Message):
        match message.performative:
            case P.CFP:
                return P.PROPOSE, {"cost": cost}
            case P.ACCEPT_PROPOSAL:
                return P.INFORM, {"text": f"done for {cost:g}"}
        return None, {}

    return answer


async def test_hundreds_bid_at_once_and_each_is_told(fair):
    names = [f"agent-{n}" for n in range(MANY)]
    for n, name in enumerate(names):
        await fair.add(name, bidder(1 + (n * 7) % MANY))
    await fair.net.start(a_contract("c", names, winners=3, reserve=0))
    contract = await asyncio.wait_for(fair.net.ended("c"), 30)
    assert contract.state is ContractState.COMPLETED
    states = Counter(party.state for party in contract.parties)
    assert states == {PartyState.PERFORMED: 3, PartyState.REJECTED: MANY - 3}
    done = sorted(party.bids[0].offer.cost for party in contract.parties if party.award)
    assert done == [1, 2, 3]

    def all_told() -> bool:
        last = {name: fair.told[name][-1] for name in names}
        return Counter(last.values()) == {P.REJECT_PROPOSAL: MANY - 3, P.ACCEPT_PROPOSAL: 3}

    await until(all_told, "the rejections")
    assert all(len(heard) == 2 for heard in fair.told.values())


async def test_the_deadline_ends_the_wait_for_those_that_do_not_answer(fair):
    never, soon = asyncio.Event(), asyncio.Event()

    async def silent(message: Message):
        await never.wait()

    async def slow(message: Message):
        if message.performative is not P.CFP:
            return None, {}
        await soon.wait()
        return P.PROPOSE, {"cost": 0}

    await fair.add("ann", bidder(2))
    await fair.add("silent", silent)
    await fair.add("slow", slow)
    await fair.net.start(a_contract("c", ["ann", "silent", "slow", "gone"], reply_within=5.0))
    await until(lambda: len(fair.told) == 3, "the calls")
    await fair.clock.advance(4.9)
    assert fair.net.find("c").state is ContractState.CALLING
    await fair.clock.advance(0.2)
    contract = await asyncio.wait_for(fair.net.ended("c"), 10)
    states = {party.agent: party.state.value for party in contract.parties}
    assert states == {"ann": "performed", "silent": "silent", "slow": "silent", "gone": "unreachable"}
    # The late one hears that it is, and the kept contract says so.
    soon.set()
    await until(lambda: P.REJECT_PROPOSAL in fair.told["slow"], "the rejection")
    await until(lambda: fair.store.find("c").parties[2].state is PartyState.LATE, "the note of it")
    never.set()


async def test_a_winner_that_does_not_finish_is_told_to_stop(fair):
    never = asyncio.Event()

    def lazy(message: Message):
        async def work():
            await never.wait()
            return P.INFORM, {"text": "at last"}

        return work() if message.performative is P.ACCEPT_PROPOSAL else bidder(1)(message)

    await fair.add("lazy", lazy)
    await fair.add("keen", bidder(2))
    await fair.net.start(a_contract("c", ["lazy", "keen"], done_within=60.0))
    await until(lambda: P.ACCEPT_PROPOSAL in fair.told.get("lazy", ()), "the award")
    await fair.clock.advance(61.0)
    contract = await asyncio.wait_for(fair.net.ended("c"), 10)
    assert [party.state for party in contract.parties] == [PartyState.OVERDUE, PartyState.PERFORMED]
    assert contract.state is ContractState.COMPLETED
    never.set()
    await until(lambda: P.CANCEL in fair.told["lazy"], "the cancel")
    # What it does after all comes too late to count.
    assert fair.store.find("c") == contract


async def test_a_participant_that_vanishes_in_the_middle_is_silent(fair):
    started = asyncio.Event()

    async def busy(message: Message):
        started.set()
        await asyncio.Event().wait()

    await fair.add("ann", bidder(2))
    await fair.add("busy", busy)
    await fair.net.start(a_contract("c", ["ann", "busy"], reply_within=5.0))
    await started.wait()
    fair.bus.unregister("busy")
    await fair.clock.advance(5.1)
    contract = await asyncio.wait_for(fair.net.ended("c"), 10)
    assert [party.state.value for party in contract.parties] == ["performed", "silent"]
