"""Contracts over a bus: awards, failures, late comers, crashes and restarts."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.house import until
from support.market import Market, a_contract

from caxton.bus.contract_net import open_contracts
from caxton.domain.bids import TrackRecord
from caxton.domain.contract_net import PENDING, ContractState, PartyState
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Performative
from caxton.testing.clock import FakeClock
from caxton.testing.contracts import MemoryContractStore

P = Performative
PROPOSALS = st.builds(lambda cost: (P.PROPOSE, {"cost": cost}), st.integers(0, 9))
BIDS = PROPOSALS | st.sampled_from(
    [(P.REFUSE, {"why": "no"}), (P.INFORM, {}), (P.PROPOSE, {"cost": "?"}), (P.FAILURE, {}), "silence", "late", "gone"]
)
WORK = st.sampled_from([(P.INFORM, {"text": "done"}), (P.FAILURE, {}), (P.REFUSE, {}), "silence", "gone"])


class Stage:
    """A contract net over a market, with a store that outlives it."""

    def __init__(self, bids: dict[str, object], work: dict[str, object] | None = None) -> None:
        self.bids, self.work = bids, work or {}
        self.clock = FakeClock(1000.0)
        self.store = MemoryContractStore()
        self.market = Market(self._behave)
        self.new_id = IdSource(self.clock)

    def _behave(self, message):
        match message.performative:
            case P.CFP:
                return self.bids[message.receiver]
            case P.ACCEPT_PROPOSAL:
                return self.work.get(message.receiver, (P.INFORM, {"text": f"{message.text} Done."}))
            case P.CANCEL:
                return P.INFORM, {}
        raise AssertionError(message)

    def opened(self, **options):
        return open_contracts(bus=self.market, store=self.store, clock=self.clock, new_id=self.new_id, **options)

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def until_ended(self, net, id: str = "c") -> None:
        """Let one message after the other through until the contract has ended."""

        def gone() -> bool:
            if self.market.waiting:
                self.market.turn(0)
            return not self.store.find(id).is_open

        await until(gone, "the end of the contract")

    def state_of(self, agent: str, id: str = "c") -> PartyState:
        return {party.agent: party.state for party in self.store.find(id).parties}[agent]


@asynccontextmanager
async def ended(stage: Stage, **terms):
    """A contract with all of a stage, as it ended."""
    async with stage.opened() as net:
        await net.start(a_contract("c", [*stage.bids], **terms))
        await stage.until_ended(net)
        yield await net.ended("c")


def offers(**costs: float) -> dict[str, object]:
    return {name: (P.PROPOSE, {"cost": cost}) for name, cost in costs.items()}


async def test_the_cheapest_is_awarded_and_the_others_are_rejected():
    stage = Stage({**offers(ann=3, bob=1, cleo=2), "dan": (P.REFUSE, {"why": "too busy"})})
    async with ended(stage) as contract:
        assert contract.state is ContractState.COMPLETED
        assert {party.agent: party.state.value for party in contract.parties} == {
            "ann": "rejected",
            "bob": "performed",
            "cleo": "rejected",
            "dan": "refused",
        }
        [bob] = [party for party in contract.parties if party.award]
        assert bob.award.text == "Do it. Done."
        assert stage.market.sent(P.ACCEPT_PROPOSAL) == ["bob"]
        assert sorted(stage.market.sent(P.REJECT_PROPOSAL)) == ["ann", "cleo"]
        assert stage.store.find("c") == contract


async def test_all_messages_of_a_contract_belong_together():
    stage = Stage(offers(ann=1, bob=2))
    async with ended(stage):
        messages = stage.market.accepted.values()
        assert {message.conversation_id for message in messages} == {"c"}
        assert {message.protocol for message in messages} == {"fipa-contract-net"}
        assert len({message.trace.split("-")[1] for message in messages}) == 1
        calls = [message for message in messages if message.performative is P.CFP]
        assert {message.reply_by for message in calls} == {1010.0}
        assert {message.text for message in calls} == {"Do it."}


async def test_where_a_winner_fails_the_next_best_is_awarded():
    stage = Stage(offers(ann=1, bob=2, cleo=3), {"ann": (P.FAILURE, {"error": {"message": "It broke."}})})
    async with ended(stage) as contract:
        assert contract.state is ContractState.COMPLETED
        assert stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann", "bob"]
        ann, bob, cleo = contract.parties
        assert (ann.state, ann.why) == (PartyState.FAILED, "It broke.")
        assert bob.state is PartyState.PERFORMED
        assert cleo.state is PartyState.REJECTED


async def test_a_winner_that_is_silent_is_told_to_stop_and_the_next_best_is_awarded():
    stage = Stage(offers(ann=1, bob=2), {"ann": "silence"})
    async with ended(stage) as contract:
        assert [party.state for party in contract.parties] == [PartyState.OVERDUE, PartyState.PERFORMED]
        [cancel] = [message for message in stage.market.accepted.values() if message.performative is P.CANCEL]
        assert cancel.receiver == "ann"
        assert cancel.in_reply_to == contract.parties[0].award.message


async def test_without_a_reserve_all_others_are_rejected_at_once_and_a_failure_is_the_end():
    stage = Stage(offers(ann=1, bob=2), {"ann": (P.FAILURE, {})})
    async with ended(stage, reserve=0) as contract:
        assert contract.state is ContractState.FAILED
        assert contract.why == "It was done by 0, and was to be done by 1."
        assert [party.state for party in contract.parties] == [PartyState.FAILED, PartyState.REJECTED]


async def test_several_winners_work_at_once():
    stage = Stage(offers(ann=1, bob=2, cleo=3))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob", "cleo"], winners=2, reserve=0))
        await stage.settle()
        for _ in range(3):
            stage.market.turn(0)
        await until(lambda: stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann", "bob"], "the awards")
        assert stage.market.waiting == 2
        await stage.until_ended(net)
        assert (await net.ended("c")).state is ContractState.COMPLETED


async def test_a_contract_that_nobody_bids_on_fails():
    stage = Stage({"ann": (P.REFUSE, {}), "bob": "gone", "cleo": "silence", "dan": (P.NOT_UNDERSTOOD, {})})
    async with ended(stage) as contract:
        assert contract.state is ContractState.FAILED
        assert contract.why == "Nobody made a bid that could be taken."
        assert [party.state.value for party in contract.parties] == [
            "refused",
            "unreachable",
            "silent",
            "not-understood",
        ]
        assert contract.parties[1].why == "Agent 'bob' is stopped."


async def test_a_bid_above_what_is_paid_is_rejected():
    async with ended(Stage(offers(ann=5, bob=6)), max_cost=5.5) as contract:
        assert [party.state for party in contract.parties] == [PartyState.PERFORMED, PartyState.REJECTED]
        assert contract.parties[1].why == "Its cost is above 5.5."


async def test_a_late_proposal_is_told_that_it_is():
    stage = Stage({**offers(ann=1), "bob": "late"})
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob"]))
        await stage.until_ended(net)

        def late() -> bool:
            if stage.market.waiting:
                stage.market.turn(0)
            return stage.state_of("bob") is PartyState.LATE

        await until(late, "the late proposal")
        assert stage.market.sent(P.REJECT_PROPOSAL) == ["bob"]
        assert (await net.ended("c")).state is ContractState.COMPLETED


async def test_a_proposal_that_cannot_be_read_is_answered_with_not_understood():
    stage = Stage({**offers(ann=1), "bob": (P.PROPOSE, {"cost": "cheap"})})
    async with ended(stage) as contract:
        assert contract.parties[1].state is PartyState.NOT_UNDERSTOOD
        assert stage.market.sent(P.NOT_UNDERSTOOD) == ["bob"]


async def test_a_further_round_tells_the_best_bid_to_those_that_bid():
    stage = Stage({**offers(ann=2, bob=3), "cleo": (P.REFUSE, {})})
    async with ended(stage, rounds=3) as contract:
        assert contract.protocol == "fipa-iterated-contract-net"
        calls = [message for message in stage.market.accepted.values() if message.performative is P.CFP]
        again = {one.receiver: one.content["contract"] for one in calls if one.content["contract"]["round"] == 2}
        assert again.keys() == {"ann", "bob"}
        assert again["bob"]["best"]["cost"] == 2
        assert again["bob"]["yours"]["cost"] == 3
        assert [again[name]["leading"] for name in ("ann", "bob")] == [True, False]
        # Nobody bettered the best bid, so there was no third round.
        assert contract.round == 2
        assert [len(party.bids) for party in contract.parties] == [2, 2, 0]


async def test_past_success_counts():
    stage = Stage(offers(ann=1, bob=1), {"ann": (P.FAILURE, {})})
    async with ended(stage):
        assert await stage.store.records(["ann", "bob"]) == {
            "ann": TrackRecord(failed=1),
            "bob": TrackRecord(performed=1),
        }
    stage.market = Market(stage._behave)
    async with stage.opened() as net:
        await net.start(a_contract("d", ["ann", "bob"]))
        await stage.until_ended(net, "d")
        assert stage.state_of("bob", "d") is PartyState.PERFORMED


async def test_a_contract_called_off_rejects_bids_and_stops_who_is_at_work():
    stage = Stage(offers(ann=1, bob=2))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob"]))
        await stage.settle()
        stage.market.turn(0)
        stage.market.turn(0)
        await until(lambda: stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann"], "the award")
        contract = await net.cancel("c")
        assert contract.state is ContractState.CANCELLED
        assert [party.state for party in contract.parties] == [PartyState.CANCELLED, PartyState.REJECTED]
        await until(lambda: stage.market.sent(P.CANCEL) == ["ann"], "the cancel")
        assert stage.market.sent(P.REJECT_PROPOSAL) == ["bob"]
        # Once more, it is as it is.
        assert await net.cancel("c") == contract


async def test_a_contract_nobody_knows_is_not_found():
    stage = Stage({})
    async with stage.opened() as net:
        for asked in (net.ended("x"), net.cancel("x"), anext(net.follow("x"))):
            with pytest.raises(CaxtonError) as caught:
                await asked
            assert caught.value.code is Code.CONTRACT_NOT_FOUND
        assert net.find("x") is None


async def test_a_contract_is_followed_to_its_end():
    stage = Stage(offers(ann=1, bob=2))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob"]))
        seen = []

        async def follow() -> None:
            seen.extend([contract.state async for contract in net.follow("c")])

        following = asyncio.create_task(follow())
        await stage.settle()
        await stage.until_ended(net)
        await following
        assert list(dict.fromkeys(seen)) == [ContractState.CALLING, ContractState.AWARDED, ContractState.COMPLETED]


async def test_what_a_server_left_open_is_carried_on_and_nothing_is_said_twice():
    stage = Stage(offers(ann=1, bob=2))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob"]))
        await stage.settle()
        stage.market.turn(0)
        stage.market.turn(0)
        await until(lambda: stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann"], "the award")
        waiting = asyncio.create_task(net.ended("c"))
        await stage.settle()
    with pytest.raises(CaxtonError) as caught:
        await waiting
    assert caught.value.code is Code.SERVER_STOPPING
    assert stage.store.find("c").state is ContractState.AWARDED
    # By the wall clock it began long ago, but not by its server's.
    async with stage.opened(resume_within=2000.0) as net:
        assert await net.resume() == 1
        await stage.until_ended(net)
        assert stage.store.find("c").state is ContractState.COMPLETED
    assert stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann"]
    assert sorted(stage.market.sent(P.CFP)) == ["ann", "bob"]


async def test_what_was_left_open_for_too_long_is_ended_with_its_participants_told():
    stage = Stage(offers(ann=1, bob=2))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann", "bob"]))
        await stage.settle()
        stage.market.turn(0)
        stage.market.turn(0)
        await until(lambda: stage.market.sent(P.ACCEPT_PROPOSAL) == ["ann"], "the award")
    async with stage.opened(resume_within=999.0) as net:
        assert await net.resume() == 1
        await until(lambda: stage.market.sent(P.CANCEL) == ["ann"], "the cancel")
        assert stage.market.sent(P.REJECT_PROPOSAL) == ["bob"]
        assert stage.store.find("c").state is ContractState.INTERRUPTED


async def test_a_contract_that_cannot_be_stored_tells_whoever_waits():
    stage = Stage(offers(ann=1))
    async with stage.opened() as net:
        await net.start(a_contract("c", ["ann"]))

        async def full(contract):
            raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")

        stage.store.save = full
        waiting = asyncio.create_task(net.ended("c"))
        await stage.settle()
        stage.market.turn(0)
        with pytest.raises(CaxtonError, match="disk is full"):
            await waiting


async def test_old_contracts_are_deleted_where_they_are_not_to_be_kept():
    stage = Stage(offers(ann=1))
    async with ended(stage):
        pass
    await stage.clock.advance(100.0)
    async with stage.opened(retention=50.0) as net:
        await net.start(a_contract("d", ["ann"]))
        await until(lambda: stage.store.find("c") is None, "the deletion")
        assert stage.store.find("d")


@settings(max_examples=200, deadline=None)
@given(
    bids=st.lists(BIDS, min_size=1, max_size=6),
    work=st.lists(WORK, min_size=6, max_size=6),
    rounds=st.integers(1, 3),
    winners=st.integers(1, 3),
    reserve=st.integers(0, 2),
    turns=st.lists(st.integers(0, 9) | st.sampled_from(["restart", "long restart", "cancel"]), max_size=60),
)
async def test_whatever_happens_everybody_ends_once_and_is_told(bids, work, rounds, winners, reserve, turns):
    names = [f"agent-{n}" for n in range(len(bids))]
    stage = Stage(dict(zip(names, bids, strict=True)), dict(zip(names, work, strict=False)))
    await stage.store.save(a_contract("c", names, rounds=rounds, winners=winners, reserve=reserve))
    script = iter(turns)
    cancelled = False
    while stage.store.find("c").is_open:
        # One server after the other: each carries on, and is gone at a restart.
        async with stage.opened(resume_within=2000.0) as net:
            await net.resume()
            while stage.store.find("c").is_open:
                await stage.settle()
                turn = next(script, 0)
                if turn in ("restart", "long restart"):
                    break
                if turn == "cancel":
                    cancelled = True
                    await net.cancel("c")
                elif stage.market.waiting:
                    stage.market.turn(turn)
            await stage.settle()
        if turn == "long restart":
            stage.market.work_alone()
    contract, market = stage.store.find("c"), stage.market
    assert "fault" not in contract.why
    states = {party.agent: party.state for party in contract.parties}
    assert not PENDING & set(states.values())
    awarded = market.sent(P.ACCEPT_PROPOSAL)
    assert len(awarded) == len(set(awarded)) <= winners + reserve
    assert {party.agent for party in contract.parties if party.award} >= set(awarded)
    assert all(party.bids for party in contract.parties if party.award)
    performed = [agent for agent, state in states.items() if state is PartyState.PERFORMED]
    assert len(performed) <= winners
    assert (contract.state is ContractState.CANCELLED) <= cancelled
    if contract.state in (ContractState.COMPLETED, ContractState.FAILED):
        assert (contract.state is ContractState.COMPLETED) == (len(performed) == winners)
    rejected = {agent for agent, state in states.items() if state is PartyState.REJECTED}
    late = {agent for agent, state in states.items() if state is PartyState.LATE}
    told = market.sent(P.REJECT_PROPOSAL)
    assert rejected | late <= set(told)
    assert len(told) == len(set(told))
    assert not set(told) & set(performed)
    stopped = {agent for agent, state in states.items() if state is PartyState.OVERDUE}
    assert set(market.sent(P.CANCEL)) <= stopped | {a for a, s in states.items() if s is PartyState.CANCELLED}
