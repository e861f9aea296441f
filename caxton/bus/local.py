"""The bus of one process: a durable store behind, mailboxes in front."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from caxton.bus.accepting import Acceptor
from caxton.bus.backlog import Backlogs
from caxton.bus.deadline import deadline
from caxton.bus.directory import Directory
from caxton.bus.inbox import Inbox
from caxton.bus.replies import Replies
from caxton.bus.routing import Router
from caxton.bus.serving import Served
from caxton.bus.transaction import Draft
from caxton.bus.watching import Watch
from caxton.domain.bus_settings import BusSettings, Overload
from caxton.domain.capability import Capability
from caxton.domain.clock import SystemClock
from caxton.domain.delivery import Bury, BusEventKind, Change, Claimed, Failure, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Durability, Message, MessageState
from caxton.domain.ports.bus import BusObserver, Groups, Handler, Mailbox, Work
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore
from caxton.domain.protocol import ACTS
from caxton.domain.turn import TurnEnded, TurnEvent, TurnPostponed

log = logging.getLogger(__name__)

DEFAULTS = BusSettings()


@asynccontextmanager
async def open_bus(
    store: DeliveryStore,
    settings: BusSettings = DEFAULTS,
    *,
    clock: Clock | None = None,
    observers: Sequence[BusObserver] = (),
    groups: Groups | None = None,
) -> AsyncIterator["LocalBus"]:
    """A bus over this store, until the end of the block; then what was accepted is stored."""
    bus = LocalBus(store, settings, clock=clock, observers=observers, groups=groups)
    try:
        yield bus
    finally:
        await bus.finish()


class LocalBus:
    """Implements `ports.bus.Bus` within one event loop; not safe to call from other threads."""

    def __init__(
        self,
        store: DeliveryStore,
        settings: BusSettings = DEFAULTS,
        *,
        clock: Clock | None = None,
        observers: Sequence[BusObserver] = (),
        groups: Groups | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock or SystemClock()
        self._new_id = IdSource(self._clock)
        self.directory = Directory(settings.balance)
        self._replies = Replies()
        self._acceptor = Acceptor(store, self._deliver)
        self._backlogs = Backlogs(store, self.directory.find, self._deliver_claimed)
        self._router = Router(self.directory, self._backlogs, settings, groups)
        self._watch = Watch(observers, self._clock)
        self._failures: dict[str, tuple[Failure, ...]] = {}
        self._born: int | None = None
        """The newest message when the first receiver came: earlier ones may have been begun by another process."""

    def register(self, address: str, mailbox: Mailbox, capabilities: Sequence[Capability] = ()) -> None:
        self.directory.add(address, mailbox, capabilities)

    def unregister(self, address: str) -> None:
        self.directory.remove(address)
        self._backlogs.drop(address)

    def inbox(self, name: str, work: Work, *, concurrency: int) -> Inbox:
        return Inbox(
            name,
            work,
            clock=self._clock,
            limit=self._settings.mailbox,
            concurrency=concurrency,
            refuses_low=self._settings.overload is Overload.REFUSE,
            on_start=self._watch.start,
            on_end=self._on_end,
        )

    @asynccontextmanager
    async def serve(
        self, address: str, handler: Handler, *, concurrency: int = 1, capabilities: Sequence[Capability] = ()
    ) -> AsyncIterator[None]:
        served = Served(address, handler, self, self._clock, self._new_id)
        inbox = self.inbox(address, served.deal, concurrency=concurrency)
        inbox.open()
        self.register(address, inbox, capabilities)
        try:
            await self.redeliver(address)
            yield
        finally:
            self.unregister(address)
            await inbox.close()

    async def send(self, message: Message) -> Message:
        accepted, _ = await self._send(message)
        return accepted

    async def broadcast(self, message: Message) -> list[Message]:
        messages = [
            msgspec.structs.replace(message, id=self._new_id(), receiver=receiver, addressed=message.receiver)
            for receiver in self._router.many(message)
        ]
        if message.is_stored:
            return await self._acceptor.accept(messages) if messages else []
        for one in messages:
            self._put(self.directory.mailbox(one.receiver), one)
        return messages

    async def redeliver(self, address: str) -> int:
        self.directory.mailbox(address)
        if self._born is None:
            self._born = self._store.last()
        count = await self._store.waiting(address)
        if count:
            self._backlogs.begin(address, count)
            await self._backlogs.fetch(address)
        return count

    async def begin(self, request: Message) -> int:
        return await self._store.begin(request.id)

    async def settle(self, request: Message, state: MessageState, reply: Message | None) -> None:
        deliver = reply is not None and self._is_delivered(request, reply)
        if request.is_stored:
            await self._end(Settle(message_id=request.id, state=state, reply=reply, deliver=deliver))
        elif reply and deliver:
            self._put_if_admitted(reply)
        if reply:
            self._replies.end(request.id, reply)
        if self._watch:
            kind = BusEventKind.SETTLED if state is MessageState.SETTLED else BusEventKind.FAILED
            self._watch.observe(kind, request, reply=reply)

    async def fail(self, request: Message, error: CaxtonError, reply: Message | None) -> float | None:
        exhausted = error.code is Code.DELIVERY_EXHAUSTED
        if request.addressed is not None:
            self.directory.failed(request.receiver)
        if not request.is_stored or (request.awaited and not exhausted):
            await self.settle(request, MessageState.FAILED, reply)
            return None
        before = self._failures.get(request.id, ())
        failure = Failure(attempt=len(before) + 1, at=self._clock.now(), error=error.report())
        delay = self._settings.retries.delay(failure.attempt, error, random.random())  # noqa: S311 - only spreads load
        if delay is None:
            await self._bury(request, failure, reply)
            return None
        at = failure.at + delay
        await self._store.commit([Retry(message_id=request.id, failure=failure, at=at)])
        self._failures[request.id] = (*before, failure)
        self._watch.observe(BusEventKind.RETRIED, request, error=error)
        return at

    def failures(self, message_id: str) -> tuple[Failure, ...]:
        return self._failures.get(message_id, ())

    def under_way(self, message_id: str) -> Message | None:
        return self._watch.find(message_id)

    def postpone(self, request: Message, error: CaxtonError) -> None:
        self._failures.pop(request.id, None)
        self._replies.postpone(request.id, error)

    def suspend(self, address: str, because: CaxtonError) -> None:
        for message in self._backlogs.drop(address):
            self.postpone(message, because)

    def publish(self, event: TurnEvent) -> None:
        self._replies.publish(event)

    def followed(self, request: str) -> bool:
        return self._replies.followed(request)

    def follow(self, request: str) -> AbstractAsyncContextManager[AsyncIterator[TurnEvent]]:
        return self._replies.follow(request)

    async def ask(self, message: Message) -> Message:
        if not message.awaited:
            message = msgspec.structs.replace(message, awaited=True)
        waiting = self._replies.expect(message.id)
        try:
            if message.reply_by is None:
                return await self._asked(message, waiting)
            detail = f"{message.receiver!r} did not reply to message {message.id} in time."
            async with deadline(self._clock, message.reply_by, CaxtonError(Code.REPLY_TIMEOUT, detail)):
                return await self._asked(message, waiting)
        finally:
            self._replies.forget(message.id)

    async def answer(self, request: Message) -> Message:
        async with self.follow(request.id) as events:
            # Looked up once it is followed, so that no reply falls between the two.
            if reply := self._store.reply_to(request.id):
                return reply
            async for event in events:
                if isinstance(event, TurnEnded):
                    return event.reply
                if isinstance(event, TurnPostponed):
                    raise event.error.error()
        raise AssertionError("what is followed ends")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Draft]:
        draft = Draft()
        yield draft
        changes: list[Change] = []
        for change in draft.changes:
            if isinstance(change, Send):
                message = self._router.one(change.message)
                await self._admit(message)
                change = Send(message)
            changes.append(change)
        # Shielded: who stops waiting does not undo it, so what was sent has to be delivered all the same.
        await asyncio.shield(asyncio.ensure_future(self._committed(changes)))

    def recall(self, agent: str, key: str) -> Any:
        return self._store.recall(agent, key)

    async def finish(self) -> None:
        """Wait until what was accepted is stored."""
        await self._acceptor.finish()

    async def _admit(self, message: Message) -> Mailbox:
        """The mailbox of its receiver, which takes it, maybe after a wait; or it may be left in the store for that."""
        mailbox = self.directory.mailbox(message.receiver)
        try:
            mailbox.admit(message)
        except CaxtonError as refusal:
            await self._router.make_room(mailbox, message, refusal)
        return mailbox

    async def _send(self, message: Message) -> tuple[Message, bool]:
        """What was accepted, and whether that was so before."""
        try:
            # Before it is routed: a repeat is that of the first one, whichever agent would be chosen now.
            if message.idempotency_key is not None and (earlier := self._keyed(message)):
                return self._repeated(message, earlier), True
            message = self._router.one(message)
            mailbox = await self._admit(message)
        except CaxtonError as error:
            self._watch.observe(BusEventKind.REFUSED, message, error=error)
            raise
        if message.durability is Durability.MEMORY:
            self._put(mailbox, message)
            return message, False
        [stored] = await self._acceptor.accept((message,))
        return (message, False) if stored is message else (self._repeated(message, stored), True)

    async def _asked(self, message: Message, waiting: asyncio.Future[Message]) -> Message:
        accepted, before = await self._send(message)
        return await self.answer(accepted) if before else await waiting

    async def _committed(self, changes: Sequence[Change]) -> None:
        below = self._store.last()
        await self._store.commit(changes)
        for change in changes:
            if isinstance(change, Send):
                self._deliver(change.message, below)
            elif isinstance(change, Settle) and change.reply:
                self._replies.end(change.message_id, change.reply)

    async def _bury(self, request: Message, failure: Failure, reply: Message | None) -> None:
        deliver = reply is not None and self._is_delivered(request, reply)
        await self._end(Bury(message_id=request.id, failure=failure, reply=reply, deliver=deliver))
        error = failure.error.error()
        log.error("message %s to %s is a dead letter: %s [%s]", request.id, request.receiver, error, error.code)
        if reply:
            self._replies.end(request.id, reply)
        self._watch.observe(BusEventKind.BURIED, request, error=error)

    async def _end(self, end: Settle | Bury) -> None:
        """Store the end of a request, and deliver the reply where it is to be."""
        below = self._store.last() if end.deliver else 0
        await self._store.commit([end])
        self._failures.pop(end.message_id, None)
        if end.deliver and end.reply:
            self._deliver(end.reply, below)

    def _keyed(self, message: Message) -> Message | None:
        key = message.idempotency_key
        return self._store.keyed(receiver=message.receiver, sender=message.sender, key=key) if key is not None else None

    def _repeated(self, message: Message, earlier: Message) -> Message:
        """The message that this one repeats; delivered again where it has no reply and no mailbox has it in hand."""
        if message.content != earlier.content:
            raise CaxtonError(
                Code.IDEMPOTENCY_KEY_REUSED,
                f"{message.sender!r} has sent {message.receiver!r} another message with the idempotency key "
                f"{message.idempotency_key!r}.",
            )
        if earlier.receiver not in self._backlogs and self._is_accepted(earlier.id):
            mailbox = self.directory.mailbox(earlier.receiver)
            mailbox.admit(earlier)
            mailbox.put(earlier, again=True)
        return earlier

    def _deliver(self, message: Message, below: int) -> None:
        """Leave an accepted message in its mailbox, as it is by now: storing took time.

        An agent that has gone or stopped meanwhile finds the message in the store when it comes back; one that is full
        does when it has room. `below` is a sequence number before that of the message.
        """
        address = message.receiver
        if address in self._backlogs:
            self._backlogs.leave(message, below)
            self._backlogs.room(address)
        else:
            try:
                mailbox = self.directory.mailbox(address)
                mailbox.admit(message)
            except CaxtonError as error:
                if error.code is Code.MAILBOX_FULL:
                    self._backlogs.leave(message, below)
                else:
                    self.postpone(message, error)
            else:
                mailbox.put(message)
        if self._watch:
            self._watch.observe(BusEventKind.ACCEPTED, message)

    def _deliver_claimed(self, mailbox: Mailbox, claimed: Claimed) -> None:
        message = claimed.message
        # Looked at again: one that was in hand when it was fetched may have been dealt with meanwhile.
        if not self._is_accepted(message.id):
            return
        if claimed.failures:
            self._failures[message.id] = claimed.failures
        again = claimed.attempts > 0 or (self._born is not None and claimed.seq <= self._born)
        mailbox.put(message, again=again, not_before=claimed.not_before)

    def _is_accepted(self, message_id: str) -> bool:
        stored = self._store.find(message_id)
        return stored is not None and stored.state is MessageState.ACCEPTED

    def _put(self, mailbox: Mailbox, message: Message) -> None:
        mailbox.put(message)
        if self._watch:
            self._watch.observe(BusEventKind.ACCEPTED, message)

    def _put_if_admitted(self, message: Message) -> None:
        mailbox = self.directory.find(message.receiver)
        if mailbox is None:
            return
        try:
            mailbox.admit(message)
        except CaxtonError as error:
            log.warning("the reply %s to %s was lost: %s", message.id, message.receiver, error)
        else:
            self._put(mailbox, message)

    def _is_delivered(self, request: Message, reply: Message) -> bool:
        """Whether a reply goes to its receiver's mailbox."""
        return (
            not request.awaited
            and ACTS[request.performative].answered
            and self.directory.find(reply.receiver) is not None
        )

    def _on_end(self, message: Message) -> None:
        seconds = self._watch.end(message)
        if message.addressed is not None:
            self.directory.measured(message.receiver, seconds)
            self.directory.spoke(message.conversation_id, message.receiver)
        if self._backlogs:
            self._backlogs.room(message.receiver)
