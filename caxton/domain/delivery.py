"""What happens to messages on their way: the changes that a store keeps, and what others are told of them."""

from enum import StrEnum
from typing import Any

import msgspec

from caxton.domain.errors import ErrorReport
from caxton.domain.message import Message, MessageState


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that failed. `at` is in seconds since the epoch, UTC; `attempt` counts from 1."""

    attempt: int
    at: float
    error: ErrorReport


class Send(msgspec.Struct, frozen=True, gc=False):
    """Store a message as accepted."""

    message: Message


class Settle(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of a message that its receiver dealt with, settled or failed, and the reply, if any.

    With `deliver` the reply is accepted for its receiver, else it is kept only. Where the message is not accepted (any
    more) nothing changes and nothing is stored.
    """

    message_id: str
    state: MessageState
    reply: Message | None = None
    deliver: bool = False


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt; the message stays accepted and is not to be begun before `at` (seconds since the epoch)."""

    message_id: str
    failure: Failure
    at: float


class Bury(msgspec.Struct, frozen=True, kw_only=True):
    """A message becomes a dead letter, with its last failure; the reply, if any, as `Settle` has it."""

    message_id: str
    failure: Failure
    reply: Message | None = None
    deliver: bool = False


class Remember(msgspec.Struct, frozen=True, kw_only=True):
    """Set one value of an agent's state; None removes it. `value` is whatever JSON can say."""

    agent: str
    key: str
    value: Any


Change = Send | Settle | Retry | Bury | Remember


class Claimed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that waits for its receiver in the store. `seq` orders all of them; `failures` are oldest first."""

    seq: int
    message: Message
    attempts: int
    not_before: float | None = None
    failures: tuple[Failure, ...] = ()


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be delivered or handled, with every attempt. `died_at` as all times here."""

    message: Message
    failures: tuple[Failure, ...]
    died_at: float

    @property
    def error(self) -> ErrorReport:
        """What it died of."""
        return self.failures[-1].error


class BusEventKind(StrEnum):
    ACCEPTED = "accepted"
    STARTED = "started"
    SETTLED = "settled"
    FAILED = "failed"
    RETRIED = "retried"
    BURIED = "buried"
    REFUSED = "refused"


class BusEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that happened to a message, for whoever watches the bus. `at` is in seconds since the epoch, UTC.

    `reply` comes with settled and failed ones, `error` with failed, retried, buried and refused ones; `duration` is how
    long the handling took in seconds, `waited` how long the message had waited for it.
    """

    kind: BusEventKind
    at: float
    message: Message
    reply: Message | None = None
    error: ErrorReport | None = None
    waited: float | None = None
    duration: float | None = None
