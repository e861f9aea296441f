"""Whoever waits for the end of a request, or follows the turn that answers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message
from caxton.domain.turn import TurnEnded, TurnEvent, TurnPostponed


class Replies:
    """By the id of the request."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._followers: dict[str, list[asyncio.Queue[TurnEvent]]] = {}

    def expect(self, request: str) -> asyncio.Future[Message]:
        """What will have the reply, or the error of a postponed turn. To be forgotten when it is no longer wanted."""
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[request] = waiting
        return waiting

    def forget(self, request: str) -> None:
        del self._waiting[request]

    def end(self, request: str, reply: Message) -> None:
        if (waiting := self._waiting.get(request)) and not waiting.done():
            waiting.set_result(reply)
        if request in self._followers:
            self.publish(TurnEnded(request=request, reply=reply))

    def postpone(self, request: str, error: CaxtonError) -> None:
        if (waiting := self._waiting.get(request)) and not waiting.done():
            waiting.set_exception(error)
        if request in self._followers:
            self.publish(TurnPostponed(request=request, error=error.report()))

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


async def _until_the_end(events: asyncio.Queue[TurnEvent]) -> AsyncIterator[TurnEvent]:
    while True:
        event = await events.get()
        yield event
        if isinstance(event, TurnEnded | TurnPostponed):
            return
