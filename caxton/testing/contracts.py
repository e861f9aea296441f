"""A store of contracts that forgets."""

from collections import Counter
from collections.abc import Collection

from caxton.domain.bids import TrackRecord
from caxton.domain.contract_net import Contract, ContractState, PartyState


class MemoryContractStore:
    """Implements `ports.contracts.ContractStore`."""

    def __init__(self) -> None:
        self._contracts: dict[str, Contract] = {}

    async def save(self, contract: Contract) -> None:
        self._contracts[contract.id] = contract

    def find(self, id: str) -> Contract | None:
        return self._contracts.get(id)

    async def unfinished(self) -> list[Contract]:
        return [contract for contract in self._contracts.values() if contract.ended_at is None]

    async def contracts(
        self, *, state: ContractState | None = None, limit: int, before: str | None = None
    ) -> list[Contract]:
        newest = [*self._contracts.values()][::-1]
        if before is not None:
            ids = [contract.id for contract in newest]
            newest = newest[ids.index(before) + 1 :] if before in ids else []
        return [contract for contract in newest if state in (None, contract.state)][:limit]

    async def records(self, agents: Collection[str]) -> dict[str, TrackRecord]:
        awarded = [party for contract in self._contracts.values() for party in contract.parties if party.award]
        counts: dict[str, Counter[PartyState]] = {}
        for party in awarded:
            if party.agent in agents:
                counts.setdefault(party.agent, Counter())[party.state] += 1
        return {
            agent: TrackRecord(
                performed=states[PartyState.PERFORMED],
                failed=states[PartyState.FAILED] + states[PartyState.OVERDUE],
            )
            for agent, states in counts.items()
        }

    async def drop(self, before: float) -> int:
        return self._drop([one for one in self._contracts.values() if one.ended_at and one.ended_at < before])

    async def forget(self, initiator: str) -> int:
        return self._drop([one for one in self._contracts.values() if one.ended_at and one.initiator == initiator])

    def _drop(self, doomed: list[Contract]) -> int:
        for contract in doomed:
            del self._contracts[contract.id]
        return len(doomed)
