"""All contracts under way: the initiator of the contract net."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from caxton.bus.asides import Asides
from caxton.bus.undertaking import Undertaking
from caxton.domain.contract_net import Contract, ContractStep
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.contracts import ContractStore

log = logging.getLogger(__name__)

DAY = 86_400.0


class Running:
    """An undertaking with the task that carries it out."""

    def __init__(self, undertaking: Undertaking) -> None:
        self.undertaking = undertaking
        self.task: asyncio.Task[None] | None = None
        self.called_off = False
        self.error: CaxtonError | None = None
        """Why nobody carries it on any more, though it has not ended."""


class ContractNet:
    """Implements `ports.contracts.Contracts`. Made by `open_contracts`, whose end leaves open contracts to the next."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: ContractStore,
        clock: Clock,
        new_id: IdSource,
        resume_within: float,
        retention: float | None,
    ) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._resume_within = resume_within
        self._retention = retention
        self._running: dict[str, Running] = {}
        self._asides = Asides()

    async def start(self, contract: Contract) -> None:
        await self._store.save(contract)
        self._run(contract)
        if self._retention is not None:
            self._asides.add(self._purge(self._clock.now() - self._retention))

    async def resume(self) -> int:
        """Carry on with what an earlier server left open; how many contracts. Their participants should be there.

        Those from before `resume_within` are ended instead, with their participants told: the bus may have forgotten
        which of their messages were sent.
        """
        left = await self._store.unfinished()
        oldest = self._clock.now() - self._resume_within
        for contract in left:
            if contract.created_at >= oldest:
                self._run(contract)
            else:
                why = "The server was down for too long in the middle of it."
                await self._undertaking(contract).call_off(ContractStep.INTERRUPT, why)
        return len(left)

    def find(self, id: str) -> Contract | None:
        running = self._running.get(id)
        return running.undertaking.contract if running else self._store.find(id)

    async def ended(self, id: str) -> Contract:
        running = self._running.get(id)
        if running is None or running.task is None:
            return self._get(id)
        # Not awaited itself: who stops waiting does not stop the contract.
        await asyncio.wait([running.task])
        if running.error:
            raise running.error
        return running.undertaking.contract

    async def follow(self, id: str) -> AsyncIterator[Contract]:
        running = self._running.get(id)
        if running is None:
            yield self._get(id)
            return
        while True:
            change, contract, error = running.undertaking.change, running.undertaking.contract, running.error
            yield contract
            if not contract.is_open:
                return
            if error:
                raise error
            await change.wait()

    async def cancel(self, id: str) -> Contract:
        running = self._running.get(id)
        if running and running.task and running.undertaking.contract.is_open and not running.called_off:
            running.called_off = True
            running.task.cancel()
        return await self.ended(id)

    async def close(self) -> None:
        """Stop here; what is open stays so in the store."""
        tasks = [running.task for running in self._running.values() if running.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._asides.close()

    def _get(self, id: str) -> Contract:
        if contract := self._store.find(id):
            return contract
        raise CaxtonError(Code.CONTRACT_NOT_FOUND, f"There is no contract {id!r}.")

    def _undertaking(self, contract: Contract) -> Undertaking:
        return Undertaking(
            contract,
            bus=self._bus,
            store=self._store,
            clock=self._clock,
            new_id=self._new_id,
            asides=self._asides,
        )

    def _run(self, contract: Contract) -> None:
        running = self._running[contract.id] = Running(self._undertaking(contract))
        running.task = asyncio.create_task(self._live(running), name=f"contract {contract.id}")

    async def _live(self, running: Running) -> None:
        """The whole of a contract; whatever happens it has ended afterwards, but where the server closes."""
        undertaking, contract_id = running.undertaking, running.undertaking.contract.id
        work = asyncio.create_task(undertaking.carry_out(), name=f"work on contract {contract_id}")
        try:
            # A task of its own, so that calling off is told from closing.
            await asyncio.wait([work])
            work.result()
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if not running.called_off:
                running.error = CaxtonError(
                    Code.SERVER_STOPPING,
                    f"The server stops before contract {contract_id} has ended.",
                    hint="It is carried on when the server is back.",
                )
                raise
            await self._end(running, undertaking.call_off(ContractStep.CANCEL, "It was called off."))
        except CaxtonError as error:
            log.error("contract %s cannot be carried on: %s", contract_id, error)
            running.error = error
        except Exception:
            log.exception("contract %s crashed", contract_id)
            why = "A fault in Caxton; the server's log has the details."
            await self._end(running, undertaking.call_off(ContractStep.FAIL, why))
        finally:
            self._running.pop(contract_id, None)
            undertaking.changed()

    async def _end(self, running: Running, last: Coroutine[None, None, None]) -> None:
        """Do the last of a contract; a failure to store it is told to whoever waits."""
        try:
            if running.undertaking.contract.is_open:
                await last
            else:
                last.close()
        except CaxtonError as error:
            log.error("the end of contract %s could not be stored: %s", running.undertaking.contract.id, error)
            running.error = error

    async def _purge(self, before: float) -> None:
        try:
            await self._store.drop(before)
        except CaxtonError as error:
            log.error("old contracts could not be deleted: %s", error)


@asynccontextmanager
async def open_contracts(
    *,
    bus: Bus,
    store: ContractStore,
    clock: Clock,
    new_id: IdSource,
    resume_within: float = DAY,
    retention: float | None = None,
) -> AsyncIterator[ContractNet]:
    """Contracts until the end of the block; those still open then are carried on by the next one's `resume`.

    What ended more than `retention` seconds ago is deleted as others begin.
    """
    contracts = ContractNet(
        bus=bus, store=store, clock=clock, new_id=new_id, resume_within=resume_within, retention=retention
    )
    try:
        yield contracts
    finally:
        await contracts.close()
