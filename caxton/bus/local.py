"""The bus of one process: a durable store behind, mailboxes in front."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from caxton.bus.accepting import Acceptor
from caxton.bus.deadline import deadline
from caxton.bus.delivering import Delivering
from caxton.bus.directory import Directory
from caxton.bus.ending import Ending
from caxton.bus.inbox import Inbox
from caxton.bus.replies import Replies
from caxton.bus.routing import Router
from caxton.bus.serving import Served
from caxton.bus.transaction import Draft
from caxton.bus.watching import Watch
from caxton.domain.bus_settings import BusSettings, Overload
from caxton.domain.capability import Capability
from caxton.domain.clock import SystemClock
from caxton.domain.delivery import BusEventKind, Change, Failure, Send, Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Durability, Message, MessageState
from caxton.domain.ports.bus import BusObserver, Groups, Handler, Mailbox, Work
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore
from caxton.domain.turn import TurnEnded, TurnEvent, TurnPostponed

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
        self._watch = Watch(observers, self._clock)
        self._delivering = Delivering(store, self.directory, self._replies, self._watch, self._clock)
        self._ending = Ending(
            store,
            self._delivering,
            directory=self.directory,
            replies=self._replies,
            watch=self._watch,
            retries=settings.retries,
            clock=self._clock,
        )
        self._backlogs = self._delivering.backlogs
        self._router = Router(self.directory, self._backlogs, settings, groups)
        self._acceptor = Acceptor(store, self._delivering.stored)

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
        try:
            # Before it is routed: a repeat is that of the first one, whichever agent would be chosen now.
            if message.idempotency_key is not None and (earlier := self._keyed(message)):
                return self._repeated(message, earlier)
            message = self._router.one(message)
            mailbox = self.directory.mailbox(message.receiver)
            try:
                mailbox.admit(message)
            except CaxtonError as refusal:
                await self._router.make_room(mailbox, message, refusal)
        except CaxtonError as error:
            self._watch.observe(BusEventKind.REFUSED, message, error=error)
            raise
        if message.durability is Durability.MEMORY:
            self._delivering.unstored(mailbox, message)
            return message
        stored = await self._acceptor.accept(message)
        return message if stored is message else self._repeated(message, stored)

    async def broadcast(self, message: Message) -> list[Message]:
        messages = [
            msgspec.structs.replace(message, id=self._new_id(), receiver=receiver, addressed=message.receiver)
            for receiver in self._router.many(message)
        ]
        if message.is_stored:
            return await self._acceptor.accept_all(messages) if messages else []
        for one in messages:
            self._delivering.unstored(self.directory.mailbox(one.receiver), one)
        return messages

    async def redeliver(self, address: str) -> int:
        return await self._delivering.waiting(address)

    async def begin(self, request: Message) -> int:
        return await self._store.begin(request.id)

    async def settle(self, request: Message, state: MessageState, reply: Message | None) -> None:
        await self._ending.settle(request, state, reply)

    async def fail(self, request: Message, error: CaxtonError, reply: Message | None) -> float | None:
        return await self._ending.fail(request, error, reply)

    def failures(self, message_id: str) -> tuple[Failure, ...]:
        return self._delivering.failures.get(message_id, ())

    def under_way(self, message_id: str) -> Message | None:
        return self._watch.find(message_id)

    def postpone(self, request: Message, error: CaxtonError) -> None:
        if self._watch.find(request.id) is None:  # else it is still in hand, and goes on from there
            self._delivering.failures.pop(request.id, None)
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
                mailbox = self.directory.mailbox(message.receiver)
                try:
                    mailbox.admit(message)
                except CaxtonError as refusal:
                    await self._router.make_room(mailbox, message, refusal)
                change = Send(msgspec.structs.replace(message, durability=Durability.STORED))
            changes.append(change)
        # Shielded: who stops waiting does not undo it, so what was sent has to be delivered all the same.
        await asyncio.shield(asyncio.ensure_future(self._committed(changes)))

    def recall(self, agent: str, key: str) -> Any:
        return self._store.recall(agent, key)

    async def finish(self) -> None:
        """Wait until what was accepted is stored, and let nothing more be fetched."""
        await self._acceptor.finish()
        await self._backlogs.finish()

    async def _asked(self, message: Message, waiting: asyncio.Future[Message]) -> Message:
        accepted = await self.send(message)
        return await waiting if accepted.id == message.id else await self.answer(accepted)

    async def _committed(self, changes: Sequence[Change]) -> None:
        below = self._store.last()
        await self._store.commit(changes)
        for change in changes:
            # One whose key was used before was not stored.
            if isinstance(change, Send) and self._store.find(change.message.id):
                self._delivering.stored(change.message, below)
            elif isinstance(change, Settle) and change.reply:
                self._replies.end(change.message_id, change.reply)

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
        self._delivering.again(earlier)
        if earlier.id == message.id and (reply := self._store.reply_to(message.id)):
            self._replies.end(message.id, reply)
        return earlier

    def _on_end(self, message: Message) -> None:
        seconds = self._watch.end(message)
        if message.addressed is not None:
            self.directory.measured(message.receiver, seconds)
            self.directory.spoke(message.conversation_id, message.receiver)
        if self._backlogs.behind:
            self._backlogs.room(message.receiver)
