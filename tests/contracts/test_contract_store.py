"""What every store of contracts does."""

import pytest

from caxton.domain.bids import Bid, Offer, TrackRecord
from caxton.domain.contract_net import Award, Contract, ContractState, Party, PartyState, Terms
from caxton.storage.contracts import SqliteContractStore
from caxton.storage.database import open_database
from caxton.testing.contracts import MemoryContractStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryContractStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteContractStore(database)


def contract(id: str, *parties: Party, ended_at: float | None = None, initiator: str = "user") -> Contract:
    return Contract(
        id=id,
        initiator=initiator,
        task="Do it.",
        called="all",
        created_at=1.0,
        content={"rows": [1, 2, None]},
        terms=Terms(rounds=2, max_cost=4.0),
        state=ContractState.CALLING if ended_at is None else ContractState.COMPLETED,
        ended_at=ended_at,
        parties=parties,
    )


def awarded(agent: str, state: PartyState) -> Party:
    bid = Bid(round=1, at=2.0, offer=Offer(cost=1.5, quality=0.5), score=0.7)
    award = Award(at=3.0, message="m", ended_at=4.0, reply="r", result={"text": "done"})
    return Party(agent=agent, state=state, bids=(bid,), award=award, why="so")


async def test_a_contract_comes_back_as_it_was_saved_last(store):
    assert store.find("a") is None
    await store.save(contract("a", Party(agent="ann")))
    whole = contract("a", awarded("ann", PartyState.PERFORMED), Party(agent="bob"), ended_at=5.0)
    await store.save(whole)
    assert store.find("a") == whole
    assert await store.contracts(limit=9) == [whole]


async def test_those_that_have_not_ended_are_found(store):
    for id, ended_at in (("a", None), ("b", 5.0), ("c", None)):
        await store.save(contract(id, ended_at=ended_at))
    assert [one.id for one in await store.unfinished()] == ["a", "c"]
    await store.save(contract("a", ended_at=6.0))
    assert [one.id for one in await store.unfinished()] == ["c"]


async def test_pages_are_newest_first_and_of_one_state_if_asked(store):
    for n in range(5):
        await store.save(contract(f"c{n}", ended_at=5.0 if n % 2 else None))
    assert [one.id for one in await store.contracts(limit=2)] == ["c4", "c3"]
    assert [one.id for one in await store.contracts(limit=9, before="c3")] == ["c2", "c1", "c0"]
    assert [one.id for one in await store.contracts(limit=9, state=ContractState.COMPLETED)] == ["c3", "c1"]
    assert await store.contracts(limit=9, before="unknown") == []


async def test_what_became_of_awards_is_counted_by_agent(store):
    await store.save(contract("a", awarded("ann", PartyState.ACCEPTED), awarded("bob", PartyState.FAILED)))
    await store.save(contract("b", awarded("ann", PartyState.PERFORMED), awarded("bob", PartyState.OVERDUE)))
    await store.save(contract("c", awarded("ann", PartyState.CANCELLED), Party(agent="cleo")))
    records = await store.records(["ann", "bob", "cleo", "dan"])
    assert records == {"ann": TrackRecord(performed=1), "bob": TrackRecord(failed=2)}
    # Saved again it counts once, as it is by then.
    await store.save(contract("a", awarded("ann", PartyState.PERFORMED), awarded("bob", PartyState.FAILED)))
    assert (await store.records(["ann"]))["ann"] == TrackRecord(performed=2)
    assert await store.records([]) == {}


async def test_what_is_dropped_is_counted_no_more(store):
    await store.save(contract("old", awarded("ann", PartyState.PERFORMED), ended_at=5.0))
    await store.save(contract("new", awarded("ann", PartyState.FAILED), ended_at=9.0))
    await store.save(contract("open", awarded("ann", PartyState.ACCEPTED)))
    assert await store.drop(9.0) == 1
    assert [one.id for one in await store.contracts(limit=9)] == ["open", "new"]
    assert (await store.records(["ann"]))["ann"] == TrackRecord(failed=1)
    assert await store.drop(9.0) == 0


async def test_what_somebody_called_for_is_forgotten_once_it_has_ended(store):
    await store.save(contract("hers", initiator="zoe", ended_at=5.0))
    await store.save(contract("open", initiator="zoe"))
    await store.save(contract("his", ended_at=5.0))
    assert await store.forget("zoe") == 1
    assert [one.id for one in await store.contracts(limit=9)] == ["his", "open"]


async def test_contracts_outlive_their_database(tmp_path):
    whole = contract("a", awarded("ann", PartyState.PERFORMED))
    async with open_database(tmp_path / "caxton.db") as database:
        await SqliteContractStore(database).save(whole)
    async with open_database(tmp_path / "caxton.db") as database:
        assert SqliteContractStore(database).find("a") == whole
