"""The seam that every message walks."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from caxton.domain.message import Message, MessageState
from caxton.domain.turn import TurnEvent

Deliver = Callable[[Message], None]
"""Puts a message into a mailbox without waiting; raises CaxtonError (`mailbox_full`, `agent_not_running`)."""


class Bus(Protocol):
    def register(self, address: str, deliver: Deliver) -> None:
        """Have messages for `address` delivered; replaces an earlier registration of it."""
        ...

    def unregister(self, address: str) -> None: ...

    async def send(self, message: Message) -> None:
        """Accept a message: once this returns it is stored (unless `durability` is memory) and delivered.

        CaxtonError `agent_not_found`, `agent_not_running`, `mailbox_full` or `storage_failed` where it was not
        accepted.
        """
        ...

    async def settle(self, request: Message, state: MessageState, reply: Message) -> None:
        """The receiver's answer: store it with the request's end, then hand it to whoever waits."""
        ...

    async def begin(self, request: Message) -> int:
        """Count a delivery begun; how many there were, this one included."""
        ...

    def publish(self, event: TurnEvent) -> None:
        """Tell whoever follows `event.request`; free where nobody does."""
        ...

    def followed(self, request: str) -> bool:
        """Whether anybody follows the turn of this request."""
        ...

    def follow(self, request: str) -> AbstractAsyncContextManager[AsyncIterator[TurnEvent]]:
        """The events of the turn that answers `request`, up to and including TurnEnded."""
        ...

    async def ask(self, message: Message) -> Message:
        """Send a message and wait for its reply (an inform or a failure)."""
        ...
