"""The seam that every message walks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from caxton.domain.capability import Capability
from caxton.domain.delivery import BusEvent, BusEventKind, Failure
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message, MessageState
from caxton.domain.turn import TurnEvent

Handler = Callable[[Message], Awaitable[Message | None]]
"""What deals with the messages of an address: returns the reply, or None where there is none to give."""
Work = Callable[[Message, bool], Awaitable[float | None]]
"""What an inbox does with a message (and whether it was begun before): deals with it, and returns None; or returns the
time (seconds since the epoch) at which it is to be begun once more. It raises nothing but its own cancellation."""


class Mailbox(Protocol):
    """Where the bus leaves messages for one address."""

    @property
    def depth(self) -> int:
        """How many messages it has in hand, those under way included."""
        ...

    @property
    def limit(self) -> int:
        """How many it takes in hand at most."""
        ...

    def holds(self, message_id: str) -> bool:
        """Whether it has that message in hand."""
        ...

    def admit(self, message: Message) -> None:
        """Raise CaxtonError (`mailbox_full`, `agent_not_running`) where this message is not taken now."""
        ...

    def put(self, message: Message, *, again: bool = False, not_before: float | None = None) -> None:
        """Take a message that was admitted; never waits. `again` marks one that an earlier process had accepted.

        It is not begun before `not_before` (seconds since the epoch), nor is what follows it in its conversation. One
        that is in hand already is not taken twice.
        """
        ...

    async def vacancy(self) -> None:
        """Wait until there is room for another message."""
        ...


class Inbox(Mailbox, Protocol):
    """A mailbox with workers. In order within a conversation; conversations by priority, and none waits for ever."""

    @property
    def busy(self) -> int:
        """How many messages are under way."""
        ...

    @property
    def concurrency(self) -> int:
        """How many conversations are dealt with at once; what is changed holds from the next message on."""
        ...

    @concurrency.setter
    def concurrency(self, value: int) -> None: ...

    def open(self) -> None:
        """Begin to deal with messages, those that wait first. It takes them in before, too."""
        ...

    def pause(self) -> None:
        """Begin no more messages, until it is opened again; those under way go on."""
        ...

    async def drain(self, timeout: float) -> None:
        """Wait until nothing is in hand any more, `timeout` seconds at most."""
        ...

    async def close(self) -> list[Message]:
        """Cut off what is under way, and take out every message that is not dealt with."""
        ...

    def in_hand(self) -> Collection[Message]:
        """What waits or is under way, in the order in which it came; changes with the inbox."""
        ...


class BusObserver(Protocol):
    """Whoever watches the bus. Called on its hot path: it has to be quick, and must not raise."""

    def observe(self, event: BusEvent) -> None: ...


@runtime_checkable
class BusCounter(BusObserver, Protocol):
    """One that is content with numbers: `count` is called for it in the place of `observe`, and no event is made."""

    def count(self, kind: BusEventKind, receiver: str, at: float, waited: float | None, duration: float | None) -> None:
        """As in the event of that kind."""
        ...


@runtime_checkable
class BusListener(BusObserver, Protocol):
    """One that is not always there: it is told only while it is awake."""

    awake: bool


class Groups(Protocol):
    """Who takes part in a conversation."""

    def members(self, conversation_id: str) -> Sequence[str]:
        """Their addresses, in the order in which they joined; empty where there is no such group."""
        ...


class Transaction(Protocol):
    """Messages and changes of state that take effect together, when the block ends, or not at all."""

    def send(self, message: Message) -> None:
        """Have a message stored and then delivered. Its receiver is one address that takes messages now."""
        ...

    def settle(self, request: Message, state: MessageState, reply: Message | None = None) -> None:
        """Have this be the end of a message."""
        ...

    def remember(self, agent: str, key: str, value: Any) -> None:
        """Set a value of an agent's state; None removes it."""
        ...


class Bus(Protocol):
    """Accepts messages, leaves them in mailboxes, and tells whoever waits how they ended."""

    def register(self, address: str, mailbox: Mailbox, capabilities: Sequence[Capability] = ()) -> None:
        """Have messages for `address` delivered; replaces an earlier registration of it."""
        ...

    def unregister(self, address: str) -> None: ...

    def inbox(self, name: str, work: Work, *, concurrency: int) -> Inbox:
        """A mailbox with workers, not open yet and not registered; bounded by the settings."""
        ...

    def serve(
        self, address: str, handler: Handler, *, concurrency: int = 1, capabilities: Sequence[Capability] = ()
    ) -> AbstractAsyncContextManager[None]:
        """Have a function deal with the messages for `address` until the block ends.

        In order within a conversation, `concurrency` conversations at once.
        """
        ...

    async def send(self, message: Message) -> Message:
        """Accept a message for one receiver, which may be named by a capability.

        Once this returns it is stored (unless `durability` is memory) and delivered, or left in the store for its
        receiver where that has no room now. What is returned is the message as it was delivered; or, where its sender
        has sent the receiver one with the same `idempotency_key` before, the earlier one, and this one is neither
        stored nor delivered.

        CaxtonError where it was not accepted: `agent_not_found`, `capability_not_found`, `agent_not_running`,
        `mailbox_full`, `storage_failed`, `delegation_loop`, `content_mismatch`; `idempotency_key_reused` where the
        earlier one said something else.
        """
        ...

    async def broadcast(self, message: Message) -> list[Message]:
        """Accept a message for a group or for everybody: what each receiver is delivered, stored in one go.

        Those that take no message now (stopped ones, and full ones that it may not wait for in the store) are left out,
        and so is the sender. CaxtonError `conversation_not_found` where there is no such group.
        """
        ...

    async def redeliver(self, address: str) -> int:
        """Deliver what is stored for `address` and not settled, as it has room; how many messages."""
        ...

    async def begin(self, request: Message) -> int:
        """Count a repeated delivery begun; how many there were, this one included."""
        ...

    async def settle(self, request: Message, state: MessageState, reply: Message | None) -> None:
        """The receiver's answer: store it with the request's end, then hand it to whoever waits, or to its receiver.

        Where the store fails that is tried until it works, whoever waits being told meanwhile. CaxtonError
        `body_invalid` where the reply cannot be stored as it is, and then nothing has ended.

        A reply goes to its receiver's mailbox where the performative of the request asks for an answer, nobody was to
        wait for it, and the receiver has a mailbox.
        """
        ...

    async def fail(self, request: Message, error: CaxtonError, reply: Message | None) -> float | None:
        """An attempt to deal with a message failed: the time at which to begin it again, or None where this is its end.

        One that is awaited, or that its sender has cancelled, ends, and its sender is told by the reply. Any other is
        tried again where that may help, by the class of the error and the settings; else it becomes a dead letter, with
        every failure, and the reply goes to its sender as `settle` has it. One that was given up with
        `delivery_exhausted` is a dead letter in any case.
        """
        ...

    def failures(self, message_id: str) -> tuple[Failure, ...]:
        """The failed attempts so far of a message that is in a mailbox."""
        ...

    def under_way(self, message_id: str) -> Message | None:
        """The message of that id, while an inbox deals with it."""
        ...

    def postpone(self, request: Message, error: CaxtonError) -> None:
        """Tell whoever waits that the answer will not come now; a stored request stays accepted."""
        ...

    def suspend(self, address: str, because: CaxtonError) -> None:
        """A receiver takes nothing more for now: whoever waits for what is left in the store for it is told.

        Nothing of that is lost; `redeliver` takes it up again.
        """
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
        """Send a message as `awaited`, and wait for its reply, that of the earlier one where `send` says so.

        Raises what `send` raises, the error of a postponed turn, and `reply_timeout` when `reply_by` passes. Cancelling
        the wait does not stop the turn.
        """
        ...

    async def answer(self, request: Message) -> Message:
        """The reply to a stored request, at once where it is there already; raises the error of a postponed turn."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Several messages and changes of state together: committed when the block ends, dropped where it raises.

        CaxtonError as `send` has it, and then nothing of it has happened.
        """
        ...

    def recall(self, agent: str, key: str) -> Any:
        """A value of an agent's state, as the last transaction left it; None where there is none."""
        ...
