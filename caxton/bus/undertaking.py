"""One contract carried out over the bus, from the calls to the end.

All calls of a round go out at once, and each is answered by itself (`Bus.ask`). What is decided is stored before it is
acted on, and every message has an idempotency key: whatever a server left open is carried on by sending again what has
no answer yet, and what was answered meanwhile is answered from the store.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable

import msgspec

from caxton.bus.asides import Asides
from caxton.bus.contract_messages import Speaker
from caxton.bus.deadline import deadline
from caxton.bus.negotiation import Negotiation
from caxton.domain.contract_net import Contract, ContractState, ContractStep, PartyState
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.contracts import ContractStore

log = logging.getLogger(__name__)

LATE = 60.0
"""Seconds after a round's deadline in which a late proposal is still told that it is."""
COURTESY = 10.0
"""Seconds in which a participant is to say that it has stopped; nobody waits for it."""


class Undertaking:
    """A contract under way. `asides` take what goes on after its end."""

    def __init__(
        self,
        contract: Contract,
        *,
        bus: Bus,
        store: ContractStore,
        clock: Clock,
        new_id: IdSource,
        asides: Asides,
    ) -> None:
        self.negotiation = Negotiation(contract)
        self.change = asyncio.Event()
        """Set, and replaced, by the next change."""
        self._bus = bus
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._asides = asides

    @property
    def contract(self) -> Contract:
        """The contract as it is by now."""
        return self.negotiation.contract

    def changed(self) -> None:
        """Wake whoever watches."""
        self.change.set()
        self.change = asyncio.Event()

    async def carry_out(self) -> None:
        """All that is left of it, from wherever it stands. Cancelled, it stands where it stands."""
        if self.negotiation.contract.state is ContractState.CALLING:
            await self._call_until_settled()
        await self._have_it_done()
        self.negotiation.finish(at=self._clock.now())
        await self._save()

    async def call_off(self, step: ContractStep, why: str) -> None:
        """End a contract in the middle, and tell its participants."""
        now = self._clock.now()
        await self._reject([party.agent for party in self.negotiation.those(PartyState.PROPOSED)], why)
        speaker = Speaker(self.negotiation.contract)
        for party in self.negotiation.those(PartyState.ACCEPTED):
            self._stop(speaker, speaker.accept(party, now=now, at_least=COURTESY), why)
            self.negotiation.call_off(party.agent, why, at=now)
        for party in self.negotiation.those(PartyState.CALLED):
            self.negotiation.call_off(party.agent, why, at=now)
        self.negotiation.abandon(step, why, at=now)
        await self._save()

    async def _call_until_settled(self) -> None:
        """All rounds of calls, until the bids are final."""
        while True:
            terms = self.negotiation.contract.terms
            if called := self.negotiation.those(PartyState.CALLED):
                self.negotiation.call(self._clock.now() + terms.reply_within)
                speaker, round = Speaker(self.negotiation.contract), self.negotiation.contract.round
                async with asyncio.TaskGroup() as group:
                    for party in called:
                        call = speaker.call(party, message_id=self._new_id(), now=self._clock.now())
                        group.create_task(self._call(round, call))
            bidders = [party.agent for party in self.negotiation.those(PartyState.PROPOSED)]
            dear = self.negotiation.evaluate(await self._store.records(bidders))
            await self._reject(dear, f"Its cost is above {terms.max_cost:g}." if dear else "")
            if not self.negotiation.goes_on:
                break
            self.negotiation.next_round(self._clock.now() + terms.reply_within)
            await self._save()
        await self._save()

    async def _call(self, round: int, call: Message) -> None:
        """Call one participant and take its answer, or note that there is none."""
        agent = call.receiver
        try:
            reply = await self._bus.ask(call)
        except CaxtonError as error:
            if error.code is Code.REPLY_TIMEOUT:
                self.negotiation.silent(agent)
                self._asides.add(self._hear_late(round, call))
            else:
                self.negotiation.unreachable(agent, error.message)
        else:
            await self._take(agent, round, reply)
        self.changed()

    async def _take(self, agent: str, round: int, reply: Message) -> None:
        told = self.negotiation.answered(agent, round, reply)
        if told is None:
            return
        why, now, message_id = self.negotiation.party(agent).why, self._clock.now(), self._new_id()
        speaker = Speaker(self.negotiation.contract)
        if told is Performative.NOT_UNDERSTOOD:
            await self._tell([speaker.not_understood(agent, reply, why, message_id=message_id, now=now)])
        else:
            await self._tell([speaker.reject(agent, why, message_id=message_id, now=now)])

    async def _hear_late(self, round: int, call: Message) -> None:
        """Reject the proposal of one who did not answer in time, if it comes soon after all."""
        too_late = CaxtonError(Code.REPLY_TIMEOUT, "it said nothing")
        try:
            async with deadline(self._clock, self._clock.now() + LATE, too_late):
                reply = await self._bus.answer(call)
        except CaxtonError as error:
            log.debug("no late answer of %s to call %s: %s", call.receiver, call.id, error)
            return
        was_open = self.contract.is_open
        await self._take(call.receiver, round, reply)
        if not was_open:
            await self._save()

    async def _have_it_done(self) -> None:
        """Award the best bids, and the next best where those fail; then reject what bids are left."""
        at_work: set[asyncio.Task[None]] = set()

        def begin(agents: Iterable[str], *, again: bool = False) -> None:
            at_work.update(asyncio.create_task(self._have_done(agent, again=again)) for agent in agents)

        try:
            begin([party.agent for party in self.negotiation.those(PartyState.ACCEPTED)], again=True)
            while True:
                if chosen := self.negotiation.standing[: self.negotiation.vacancies]:
                    for agent in chosen:
                        self.negotiation.award(agent, message=self._new_id(), at=self._clock.now())
                    await self._save()  # before it is said: what was said has to be known
                    begin(chosen)
                losers = self.negotiation.standing[self.negotiation.reserve if at_work else 0 :]
                await self._reject(losers, "Another bid was taken.")
                if not at_work:
                    return
                done, _ = await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
                at_work -= done
                for one in done:
                    one.result()
                await self._save()
        finally:
            for one in at_work:
                one.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    async def _have_done(self, agent: str, *, again: bool) -> None:
        """Tell one participant that its bid is taken, and take its result, or note that there is none.

        `again` says that an earlier server may have told it.
        """
        speaker = Speaker(self.negotiation.contract)
        award = speaker.accept(self.negotiation.party(agent), now=self._clock.now(), at_least=COURTESY)
        try:
            reply = await (self._ask_again(award) if again else self._bus.ask(award))
        except CaxtonError as error:
            if error.code is Code.REPLY_TIMEOUT:
                self.negotiation.overdue(agent, at=self._clock.now())
                self._stop(speaker, award, "It was not done in time.")
            else:
                self.negotiation.broke(agent, error.message, at=self._clock.now())
                if error.code is Code.AGENT_NOT_RUNNING:
                    await self._withdraw(award)
        else:
            self.negotiation.reported(agent, reply)
        self.changed()

    async def _reject(self, agents: Collection[str], why: str) -> None:
        """Reject bids that stand. Told before it is stored: told twice does no harm, and not at all would."""
        if not agents:
            return
        speaker, now = Speaker(self.negotiation.contract), self._clock.now()
        await self._tell(speaker.reject(agent, why, message_id=self._new_id(), now=now) for agent in agents)
        self.negotiation.reject(agents, why)

    async def _tell(self, messages: Iterable[Message]) -> None:
        """Send what asks for no answer, all at once. Who cannot be reached any more has no use for it."""

        async def tell(message: Message) -> None:
            try:
                await self._bus.send(message)
            except CaxtonError as error:
                log.info("%s was not told %s: %s", message.receiver, message.performative, error)

        await asyncio.gather(*(tell(message) for message in messages))

    def _stop(self, speaker: Speaker, award: Message, why: str) -> None:
        """Ask a participant to stop working on an award."""
        now = self._clock.now()
        cancel = speaker.cancel(award, why, message_id=self._new_id(), now=now, reply_by=now + COURTESY)

        async def ask() -> None:
            try:
                await self._bus.ask(cancel)
            except CaxtonError as error:
                log.info("%s did not say that it stopped: %s", award.receiver, error)

        self._asides.add(ask())

    async def _ask_again(self, award: Message) -> Message:
        """The answer to an award that may have been sent before, and answered before."""
        if award.reply_by is None:
            raise ValueError("an award has a deadline")
        late = CaxtonError(Code.REPLY_TIMEOUT, f"{award.receiver!r} did not reply to message {award.id} in time.")
        async with deadline(self._clock, award.reply_by, late):
            await self._bus.send(msgspec.structs.replace(award, awaited=True))
            return await self._bus.answer(award)

    async def _withdraw(self, award: Message) -> None:
        """Have an award that was put off, its agent being stopped, not be carried out when that starts again."""
        try:
            await self._bus.settle(award, MessageState.FAILED, None)
        except CaxtonError as error:
            log.warning("the award %s to %s could not be withdrawn: %s", award.id, award.receiver, error)

    async def _save(self) -> None:
        await self._store.save(self.contract)
        self.changed()
