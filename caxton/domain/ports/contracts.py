"""The seams of contracts: where they are kept, and who carries them out."""

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from caxton.domain.bids import TrackRecord
from caxton.domain.contract_net import Contract, ContractState


class ContractStore(Protocol):
    """Keeps contracts with their bids, awards and results. Acknowledged means durable."""

    async def save(self, contract: Contract) -> None:
        """Keep a contract as it is now, in place of what was kept of it."""
        ...

    def find(self, id: str) -> Contract | None: ...

    async def unfinished(self) -> list[Contract]:
        """Those that have not ended, the oldest first."""
        ...

    async def contracts(
        self, *, state: ContractState | None = None, limit: int, before: str | None = None
    ) -> list[Contract]:
        """The newest first; `before` is the id of the last one already seen. Nothing comes before one not there."""
        ...

    async def records(self, agents: Collection[str]) -> dict[str, TrackRecord]:
        """What became of the tasks that these were awarded; those that never were are left out.

        Costs what there are of those tasks. What was overdue counts as failed, what was called off not at all.
        """
        ...

    async def drop(self, before: float) -> int:
        """Delete those that ended before a time, and what is counted of them; how many."""
        ...

    async def forget(self, initiator: str) -> int:
        """Delete all that somebody called for and that have ended; how many."""
        ...


class Contracts(Protocol):
    """Carries contracts out. Those under way outlive a restart of the server."""

    async def start(self, contract: Contract) -> None:
        """Keep a new contract, and call its participants; returns before they answer."""
        ...

    def find(self, id: str) -> Contract | None:
        """A contract as it is now."""
        ...

    async def ended(self, id: str) -> Contract:
        """Wait for the end of a contract. CaxtonError where it could not be carried on: `storage_failed`."""
        ...

    def follow(self, id: str) -> AsyncIterator[Contract]:
        """A contract as it is, and as it becomes, with its end as the last."""
        ...

    async def cancel(self, id: str) -> Contract:
        """Call off a contract that is under way, with its participants told; the contract as it ended.

        One that has ended meanwhile stays as it ended.
        """
        ...
