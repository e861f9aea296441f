"""The seam that every message walks."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message, MessageState
from caxton.domain.turn import TurnEvent


class Mailbox(Protocol):
    """Where the bus leaves messages for one address."""

    def admit(self) -> None:
        """Raise CaxtonError (`mailbox_full`, `agent_not_running`) where no further message is taken now."""
        ...

    def put(self, message: Message, *, again: bool = False) -> None:
        """Take a message that was admitted; never waits. `again` marks one that an earlier process had accepted.

        One that is in hand already is not taken twice.
        """
        ...


class Bus(Protocol):
    """Accepts messages, leaves them in mailboxes, and tells whoever waits how they ended."""

    def register(self, address: str, mailbox: Mailbox) -> None:
        """Have messages for `address` delivered; replaces an earlier registration of it."""
        ...

    def unregister(self, address: str) -> None: ...

    async def send(self, message: Message) -> Message:
        """Accept a message: once this returns it is stored (unless `durability` is memory) and delivered.

        What is returned is that message; or, where its sender has sent the receiver one with the same
        `idempotency_key` before, the earlier one, and this one is neither stored nor delivered.

        CaxtonError `agent_not_found`, `agent_not_running`, `mailbox_full` or `storage_failed` where it was not
        accepted, `idempotency_key_reused` where the earlier one said something else.
        """
        ...

    async def redeliver(self, address: str) -> int:
        """Deliver what is stored for `address` and not settled; how many messages."""
        ...

    async def begin(self, request: Message) -> int:
        """Count a repeated delivery begun; how many there were, this one included."""
        ...

    async def settle(self, request: Message, state: MessageState, reply: Message) -> None:
        """The receiver's answer: store it with the request's end, then hand it to whoever waits."""
        ...

    def postpone(self, request: Message, error: CaxtonError) -> None:
        """Tell whoever waits that the answer will not come now; a stored request stays accepted."""
        ...

    def publish(self, event: TurnEvent) -> None:
        """Tell whoever follows `event.request`; free where nobody does."""
        ...

    def followed(self, request: str) -> bool:
        """Whether anybody follows the turn of this request as it runs."""
        ...

    def follow(self, request: str) -> AbstractAsyncContextManager[AsyncIterator[TurnEvent]]:
        """The events of the turn that answers `request`, ending with TurnEnded or TurnPostponed."""
        ...

    async def ask(self, message: Message) -> Message:
        """Send a message and wait for its reply (an inform or a failure), that of the earlier one where `send` says so.

        Raises what `send` raises, and the error of a postponed turn. Cancelling the wait does not stop the turn.
        """
        ...

    async def answer(self, request: Message) -> Message:
        """The reply to a stored request, at once where it is there already; raises the error of a postponed turn."""
        ...
