"""The bus of one process: a durable store behind, mailboxes in front."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Durability, Message, MessageState
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.messages import MessageStore
from caxton.domain.suggestion import did_you_mean
from caxton.domain.turn import TurnEnded, TurnEvent, TurnPostponed


class LocalBus:
    """Implements `ports.bus.Bus` within one event loop; not safe to call from other threads."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._mailboxes: dict[str, Mailbox] = {}
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._followers: dict[str, list[asyncio.Queue[TurnEvent]]] = {}

    def register(self, address: str, mailbox: Mailbox) -> None:
        self._mailboxes[address] = mailbox

    def unregister(self, address: str) -> None:
        self._mailboxes.pop(address, None)

    async def send(self, message: Message) -> Message:
        key = message.idempotency_key
        if key is None:
            return await self._accept(message)
        if earlier := self._store.keyed(receiver=message.receiver, sender=message.sender, key=key):
            return self._repeated(message, earlier)
        # Shielded: who stops waiting does not know whether his was the first with its key, and so to be delivered.
        return await asyncio.shield(self._accept(message))

    async def redeliver(self, address: str) -> int:
        stored = [one.message for one in await self._store.accepted(address)]
        # Looked at again: one that was sent meanwhile may have been answered meanwhile.
        waiting = [message for message in stored if self._is_accepted(message)]
        mailbox = self._mailbox(address)
        for message in waiting:
            mailbox.put(message, again=True)
        return len(waiting)

    async def begin(self, request: Message) -> int:
        return await self._store.begin(request.id)

    async def settle(self, request: Message, state: MessageState, reply: Message) -> None:
        if request.durability is Durability.STORED:
            await self._store.settle(request.id, state, reply)
        if (waiting := self._waiting.get(request.id)) and not waiting.done():
            waiting.set_result(reply)
        self.publish(TurnEnded(request=request.id, reply=reply))

    def postpone(self, request: Message, error: CaxtonError) -> None:
        if (waiting := self._waiting.get(request.id)) and not waiting.done():
            waiting.set_exception(error)
        self.publish(TurnPostponed(request=request.id, error=error.report()))

    def publish(self, event: TurnEvent) -> None:
        for follower in self._followers.get(event.request, ()):
            follower.put_nowait(event)

    def followed(self, request: str) -> bool:
        return request in self._followers

    @asynccontextmanager
    async def follow(self, request: str) -> AsyncIterator[AsyncIterator[TurnEvent]]:
        # Unbounded, but a turn is not: its answer is limited by the provider.
        events: asyncio.Queue[TurnEvent] = asyncio.Queue()
        self._followers.setdefault(request, []).append(events)
        try:
            yield _until_the_end(events)
        finally:
            followers = self._followers[request]
            followers.remove(events)
            if not followers:
                del self._followers[request]

    async def ask(self, message: Message) -> Message:
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = waiting
        try:
            accepted = await self.send(message)
            return await waiting if accepted.id == message.id else await self.answer(accepted)
        finally:
            del self._waiting[message.id]

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

    async def _accept(self, message: Message) -> Message:
        self._mailbox(message.receiver).admit()
        if message.durability is Durability.STORED:
            try:
                accepted = await self._store.append(message)
            except asyncio.CancelledError:
                # What the store was given it keeps, whether or not somebody waits: so it is answered like any other.
                self._deliver(message)
                raise
            if accepted.id != message.id:
                return self._repeated(message, accepted)
        self._deliver(message)
        return message

    def _repeated(self, message: Message, earlier: Message) -> Message:
        """The message that this one repeats; delivered again where it has no reply and no mailbox has it in hand."""
        if message.content != earlier.content:
            raise CaxtonError(
                Code.IDEMPOTENCY_KEY_REUSED,
                f"{message.sender!r} has sent {message.receiver!r} another message with the idempotency key "
                f"{message.idempotency_key!r}.",
            )
        if self._is_accepted(earlier):
            mailbox = self._mailbox(earlier.receiver)
            mailbox.admit()
            mailbox.put(earlier, again=True)
        return earlier

    def _deliver(self, message: Message) -> None:
        """Leave an accepted message in its mailbox, as it is by now: storing took time.

        An agent that has gone or stopped meanwhile finds the message in the store when it comes back.
        """
        try:
            mailbox = self._mailbox(message.receiver)
            mailbox.admit()
        except CaxtonError as error:
            if error.code is not Code.MAILBOX_FULL:  # which it was not when the message was accepted
                self.postpone(message, error)
                return
        mailbox.put(message)

    def _is_accepted(self, message: Message) -> bool:
        stored = self._store.find(message.id)
        return stored is not None and stored.state is MessageState.ACCEPTED

    def _mailbox(self, address: str) -> Mailbox:
        try:
            return self._mailboxes[address]
        except KeyError:
            raise self._not_found(address) from None

    def _not_found(self, address: str) -> CaxtonError:
        hint = did_you_mean(address, self._mailboxes)
        return CaxtonError(Code.AGENT_NOT_FOUND, f"There is no agent {address!r}.", hint=hint)


async def _until_the_end(events: asyncio.Queue[TurnEvent]) -> AsyncIterator[TurnEvent]:
    while True:
        event = await events.get()
        yield event
        if isinstance(event, TurnEnded | TurnPostponed):
            return
