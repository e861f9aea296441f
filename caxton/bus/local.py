"""The bus of one process: a durable store behind, mailboxes in front."""

import asyncio
import difflib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Durability, Message, MessageState
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.messages import MessageStore
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

    async def send(self, message: Message) -> None:
        self._mailbox(message.receiver).admit()
        if message.durability is Durability.STORED:
            await self._store.append(message)
        # Looked up again: the agent may have been reloaded while the message was being stored. One that is gone by
        # now finds the message in the store when it comes back.
        if mailbox := self._mailboxes.get(message.receiver):
            mailbox.put(message)
        else:
            self.postpone(message, self._not_found(message.receiver))

    async def redeliver(self, address: str) -> int:
        waiting = [stored.message for stored in await self._store.accepted() if stored.message.receiver == address]
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
            await self.send(message)
            return await waiting
        finally:
            del self._waiting[message.id]

    def _mailbox(self, address: str) -> Mailbox:
        try:
            return self._mailboxes[address]
        except KeyError:
            raise self._not_found(address) from None

    def _not_found(self, address: str) -> CaxtonError:
        nearest = difflib.get_close_matches(address, self._mailboxes, n=1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else ""
        return CaxtonError(Code.AGENT_NOT_FOUND, f"There is no agent {address!r}.", hint=hint)


async def _until_the_end(events: asyncio.Queue[TurnEvent]) -> AsyncIterator[TurnEvent]:
    while True:
        event = await events.get()
        yield event
        if isinstance(event, TurnEnded | TurnPostponed):
            return
