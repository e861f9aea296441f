"""Contracts among agents that run, whose model echoes."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace

import pytest
from support.house import House, until

from caxton.bus.contract_net import open_contracts
from caxton.bus.groups import StoredGroups
from caxton.domain.contract_net import ContractState
from caxton.domain.conversation import Group, Participant, ParticipantKind
from caxton.domain.errors import CaxtonError, Code
from caxton.service.api.contracts import CallForProposals, ContractProgress, ContractView
from caxton.service.contracts import ContractService
from caxton.testing.contracts import MemoryContractStore


@pytest.fixture
async def market(tmp_path):
    """Three agents who can sum, each with a price of its own, and one who cannot."""
    house = House.on(tmp_path / "agents")
    for name, cost in (("ann", 3), ("bob", 1), ("cleo", 2)):
        house.file(name, more=f'capabilities = ["sums:v2"]\n[contract_net]\ncost = {cost}\n')
    house.file("dan")
    store = MemoryContractStore()
    async with (
        house.opened(),
        open_contracts(bus=house.bus, store=store, clock=house.clock, new_id=house.new_id) as contracts,
    ):
        service = ContractService(
            contracts=contracts,
            store=store,
            supervisor=house.supervisor,
            groups=StoredGroups(house.groups),
            clock=house.clock,
            new_id=house.new_id,
        )
        yield SimpleNamespace(house=house, service=service, store=store)


def call(task: str = "Sum it up.", **fields: object) -> CallForProposals:
    return CallForProposals(task=task, **fields)


def states(contract: ContractView) -> dict[str, str]:
    return {party.agent: party.state.value for party in contract.participants}


async def run(market, **fields: object) -> ContractView:
    async with asyncio.timeout(10):
        return await market.service.run(body=call(**fields))


async def test_those_with_the_capability_bid_and_the_best_does_it(market):
    contract = await run(market, capability="sums")
    assert contract.state is ContractState.COMPLETED
    assert states(contract) == {"ann": "rejected", "bob": "performed", "cleo": "rejected"}
    assert contract.text == "echo: Sum it up."
    [bob] = [party for party in contract.participants if party.agent == "bob"]
    assert bob.award.result["provider"] == "echo"
    assert bob.bids[0].score > 0.5
    assert await market.service.show(id=contract.id) == contract


async def test_the_winner_answers_in_the_contracts_conversation(market):
    contract = await run(market, capability="sums:v2", sender="zoe")
    stored = await market.house.message_store.messages(agent="bob", conversation_id=contract.id, limit=9)
    acts = [(one.message.performative.value, one.message.sender) for one in reversed(stored)]
    assert acts == [("cfp", "zoe"), ("propose", "bob"), ("accept-proposal", "zoe"), ("inform", "bob")]


async def test_named_agents_everybody_and_groups_can_be_called(market):
    assert states(await run(market, agents=("ann", "dan", "ann"))).keys() == {"ann", "dan"}
    assert states(await run(market, everybody=True)).keys() == {"ann", "bob", "cleo", "dan"}
    # An agent that calls does not bid itself.
    assert states(await run(market, everybody=True, sender="bob")).keys() == {"ann", "cleo", "dan"}
    members = [("ann", ParticipantKind.AGENT), ("zoe", ParticipantKind.PERSON), ("dan", ParticipantKind.AGENT)]
    participants = tuple(Participant(name=name, kind=kind, joined_at=0.0) for name, kind in members)
    await market.house.groups.create(Group(id="trio", created_at=0.0, participants=participants))
    assert states(await run(market, group="trio", sender="zoe")).keys() == {"ann", "dan"}


@pytest.mark.parametrize(
    ("fields", "code", "told"),
    [
        ({}, Code.BODY_INVALID, "One of `capability`"),
        ({"capability": "sums", "everybody": True}, Code.BODY_INVALID, "One of `capability`"),
        ({"everybody": True, "task": "  "}, Code.BODY_INVALID, "`task` is empty"),
        ({"everybody": True, "sender": "a\nb"}, Code.BODY_INVALID, "printable"),
        ({"everybody": True, "content": {"text": "no"}}, Code.BODY_INVALID, "'text'"),
        ({"everybody": True, "content": {"rows": [float("nan")]}}, Code.BODY_INVALID, "`content.rows[0]` is"),
        ({"agents": ("ann",), "winners": 2}, Code.BODY_INVALID, "1 are called in all"),
        ({"agents": ("ann", "nobody")}, Code.AGENT_NOT_FOUND, "'nobody'"),
        ({"agents": ("ann",), "sender": "ann"}, Code.AGENT_NOT_FOUND, "nobody to call"),
        ({"capability": "sum"}, Code.CAPABILITY_NOT_FOUND, "'sum'"),
        ({"capability": "sums:v1"}, Code.CAPABILITY_NOT_FOUND, "'sums:v1'"),
        ({"group": "none"}, Code.CONVERSATION_NOT_FOUND, "'none'"),
    ],
)
async def test_a_call_that_reaches_nobody_says_what_is_wrong(market, fields, code, told):
    with pytest.raises(CaxtonError) as caught:
        await market.service.run(body=call(**fields))
    assert caught.value.code is code
    assert told in caught.value.message
    assert (await market.service.list()).contracts == []


async def test_what_goes_with_the_task_reaches_the_winner(market):
    contract = await run(market, agents=("bob",), content={"rows": [1, 2]})
    stored = await market.house.message_store.messages(agent="bob", conversation_id=contract.id, limit=9)
    [award] = [one.message for one in stored if one.message.performative == "accept-proposal"]
    assert award.content == {"text": "Sum it up.", "rows": [1, 2]}


async def test_a_stopped_agent_is_not_called_unless_it_is_named(market):
    await market.house.supervisor.stop("bob")
    assert states(await run(market, capability="sums")).keys() == {"ann", "cleo"}
    assert states(await run(market, agents=("ann", "bob")))["bob"] == "unreachable"


async def test_a_contract_is_told_as_it_goes_on(market):
    async with aclosing(market.service.stream(body=call(capability="sums"))) as events:
        told = [event async for event in events]
    *progress, last = told
    assert isinstance(last, ContractView)
    assert last.state is ContractState.COMPLETED
    assert all(isinstance(event, ContractProgress) for event in progress)
    assert [event.state for event in progress][-1] is ContractState.COMPLETED
    assert any(event.at_work == ["bob"] for event in progress)


async def test_one_that_nobody_waits_for_goes_on_and_can_be_called_off(market):
    begun = await market.service.run(body=call("hold it", agents=("bob",), wait=False))
    assert begun.state is ContractState.CALLING
    await market.house.model.held.wait()
    assert (await market.service.show(id=begun.id)).state is ContractState.AWARDED
    ended = await market.service.cancel(id=begun.id)
    assert (ended.state, states(ended)) == (ContractState.CANCELLED, {"bob": "cancelled"})
    # Its agent stops, and is free for others.
    await until(lambda: market.house.supervisor.get("bob").activity.active_turns == 0, "the end of the turn")
    assert (await run(market, agents=("bob",))).state is ContractState.COMPLETED


async def test_a_winner_that_crashes_is_replaced_by_the_next_best(market):
    contract = await run(market, task="crash", agents=("ann", "bob"), reserve=1)
    assert states(contract) == {"ann": "failed", "bob": "failed"}
    assert contract.state is ContractState.FAILED
    assert "crash" in contract.participants[1].why


async def test_a_winner_that_is_stopped_does_not_do_the_work_when_it_starts_again(market, monkeypatch):
    monkeypatch.setattr("caxton.runtime.supervisor.DRAIN", 0.01)
    running = asyncio.create_task(run(market, task="hold it", agents=("bob", "ann")))
    await market.house.model.held.wait()
    await market.house.supervisor.stop("bob")
    market.house.model.let_go.set()
    contract = await running
    assert states(contract) == {"bob": "failed", "ann": "performed"}
    await market.house.supervisor.start("bob")
    stored = await market.house.message_store.messages(agent="bob", conversation_id=contract.id, limit=9)
    assert {one.message.performative.value: one.state.value for one in stored} == {
        "cfp": "settled",
        "propose": "settled",
        "accept-proposal": "failed",
    }


async def test_contracts_are_listed_newest_first_in_pages(market):
    ids = [(await run(market, agents=("ann",))).id for _ in range(3)]
    page = await market.service.list(limit=2)
    assert [one.id for one in page.contracts] == [ids[2], ids[1]]
    assert page.contracts[0].awarded == ["ann"]
    rest = await market.service.list(limit=2, before=page.next)
    assert ([one.id for one in rest.contracts], rest.next) == ([ids[0]], None)
    assert (await market.service.list(state=ContractState.FAILED)).contracts == []


async def test_a_contract_nobody_knows_is_not_found(market):
    for asked in (market.service.show(id="x"), market.service.cancel(id="x")):
        with pytest.raises(CaxtonError) as caught:
            await asked
        assert caught.value.code is Code.CONTRACT_NOT_FOUND
