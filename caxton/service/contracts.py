"""The operations on contracts: agents bid on a task, and the best of them do it."""

from collections.abc import AsyncIterator

from caxton.domain.content import flaws
from caxton.domain.contract_net import Contract, ContractState, Party, Terms
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import ANONYMOUS, IdSource
from caxton.domain.ports.bus import Groups
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.contracts import Contracts, ContractStore
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.contracts import (
    CallForProposals,
    ContractList,
    ContractProgress,
    ContractSummary,
    ContractView,
)
from caxton.service.callees import Callees

OURS = {"contract", "text"}
"""Keys of a message's content that are the contract's own."""


class ContractService:
    """One method an operation of `service.api.contracts`, and `stream` for the streamed form of `run`."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        store: ContractStore,
        supervisor: Supervisor,
        groups: Groups,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._contracts = contracts
        self._store = store
        self._callees = Callees(supervisor, groups)
        self._clock = clock
        self._new_id = new_id

    async def run(self, *, body: CallForProposals) -> ContractView:
        """The contract as it ended. It goes on even if the caller stops waiting."""
        contract = self._contract(body)
        await self._contracts.start(contract)
        return ContractView.of(await self._contracts.ended(contract.id) if body.wait else contract)

    async def stream(self, *, body: CallForProposals) -> AsyncIterator[ContractProgress | ContractView]:
        """How the contract goes on, each time it does. Raises before the first event what `run` raises before it."""
        contract = self._contract(body)
        await self._contracts.start(contract)
        told: ContractProgress | None = None
        async for now in self._contracts.follow(contract.id):
            progress = ContractProgress.of(now)
            if progress != told:
                yield progress
                told = progress
        # Once more: what was followed may be newer than what is stored, or the other way round.
        yield ContractView.of(await self._contracts.ended(contract.id))

    async def list(
        self, *, state: ContractState | None = None, limit: int = 50, before: str | None = None
    ) -> ContractList:
        page = await self._store.contracts(state=state, limit=limit, before=before)
        following = page[-1].id if len(page) == limit else None
        return ContractList(contracts=[ContractSummary.of(one) for one in page], next=following)

    async def show(self, *, id: str) -> ContractView:
        if contract := self._contracts.find(id):
            return ContractView.of(contract)
        raise CaxtonError(Code.CONTRACT_NOT_FOUND, f"There is no contract {id!r}.")

    async def cancel(self, *, id: str) -> ContractView:
        return ContractView.of(await self._contracts.cancel(id))

    def _contract(self, body: CallForProposals) -> Contract:
        """The contract that a call is the beginning of; CaxtonError where nobody would be called."""
        initiator = body.sender or ANONYMOUS
        if not initiator.isprintable():
            raise CaxtonError(Code.BODY_INVALID, f"`sender` has to be of printable characters, not {initiator!r}.")
        if not body.task.strip():
            raise CaxtonError(Code.BODY_INVALID, "`task` is empty; nobody could bid on it.")
        if taken := OURS & body.content.keys():
            raise CaxtonError(Code.BODY_INVALID, f"`content` has {min(taken)!r}, which is the contract's own key.")
        if flaw := next(flaws(body.content), None):
            raise CaxtonError(Code.BODY_INVALID, f"`{flaw.place}` {flaw.what}.")
        called, agents = self._callees.find(body)
        agents = [agent for agent in dict.fromkeys(agents) if agent != initiator]
        if not agents:
            raise CaxtonError(Code.AGENT_NOT_FOUND, f"There is nobody to call at {called!r} but the caller.")
        if body.winners > len(agents):
            detail = f"`winners` is {body.winners}, and {len(agents)} are called in all."
            raise CaxtonError(Code.BODY_INVALID, detail, hint="Call more, or ask for fewer winners.")
        return Contract(
            id=self._new_id(),
            initiator=initiator,
            task=body.task,
            called=called,
            created_at=self._clock.now(),
            content=body.content,
            capability=body.capability,
            terms=Terms(
                reply_within=body.deadline,
                done_within=body.work_deadline,
                rounds=body.rounds,
                winners=body.winners,
                reserve=body.reserve,
                max_cost=body.max_cost,
                scoring=body.weights,
            ),
            parties=tuple(Party(agent=agent) for agent in agents),
        )
