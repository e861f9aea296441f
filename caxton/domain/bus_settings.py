"""How messages are routed, bounded, repeated and kept."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from caxton.domain.errors import CaxtonError, Code, ProviderError


class Balance(StrEnum):
    """Which of several agents that can do it gets a message.

    context      the one that has spoken in the conversation before; else the least loaded
    least-loaded the one with the fewest messages in hand
    fastest      the one likely to be done first, by how long its handling took lately and what it has in hand
    round-robin  each in turn
    """

    CONTEXT = "context"
    LEAST_LOADED = "least-loaded"
    FASTEST = "fastest"
    ROUND_ROBIN = "round-robin"


class Overload(StrEnum):
    """What becomes of a stored message whose receiver has its hands full.

    spill   it waits in the store, and is taken up in its turn
    refuse  it is not accepted; nor is one below the ordinary priority once four fifths of the room are taken
    """

    SPILL = "spill"
    REFUSE = "refuse"


class ErrorClass(StrEnum):
    """Whether repeating an attempt may help.

    transient  something was away or busy: as often as the settings say
    crash      a fault of the agent or of Caxton: once
    permanent  it would fail again: never
    """

    TRANSIENT = "transient"
    CRASH = "crash"
    PERMANENT = "permanent"


CLASSES: Mapping[Code, ErrorClass] = {
    Code.EMBEDDER_UNAVAILABLE: ErrorClass.TRANSIENT,
    Code.INTERNAL: ErrorClass.CRASH,
    Code.MAILBOX_FULL: ErrorClass.TRANSIENT,
    Code.MEMORY_UNAVAILABLE: ErrorClass.TRANSIENT,
    Code.PROVIDER_MALFORMED: ErrorClass.TRANSIENT,
    Code.PROVIDER_PAUSED: ErrorClass.TRANSIENT,
    Code.PROVIDER_RATE_LIMITED: ErrorClass.TRANSIENT,
    Code.PROVIDER_TIMEOUT: ErrorClass.TRANSIENT,
    Code.PROVIDER_UNAVAILABLE: ErrorClass.TRANSIENT,
    Code.STORAGE_FAILED: ErrorClass.TRANSIENT,
    Code.TOOL_SERVER_UNAVAILABLE: ErrorClass.TRANSIENT,
    Code.TURN_CRASHED: ErrorClass.CRASH,
    Code.TURN_TIMEOUT: ErrorClass.TRANSIENT,
}
"""Errors after which an attempt is worth repeating; all others are permanent."""
CRASH_ATTEMPTS = 2


class RetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and after how many seconds: `first_delay`, doubled with each attempt up to `longest_delay`."""

    attempts: int = 5
    first_delay: float = 1.0
    longest_delay: float = 300.0

    def delay(self, attempt: int, error: CaxtonError, jitter: float) -> float | None:
        """Seconds until the next attempt, after that many have failed, the last with `error`; None for never.

        Exponential back-off with jitter (a factor from 0.5 to 1, by `jitter` from 0 to 1), so that those that failed
        together do not come back together; never sooner than a provider asked for.
        """
        match CLASSES.get(error.code, ErrorClass.PERMANENT):
            case ErrorClass.PERMANENT:
                return None
            case ErrorClass.CRASH:
                most = min(CRASH_ATTEMPTS, self.attempts)
            case ErrorClass.TRANSIENT:
                most = self.attempts
        if attempt >= most:
            return None
        delay = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, 30)) * (0.5 + jitter / 2)
        asked = error.retry_after if isinstance(error, ProviderError) else None
        return max(delay, asked or 0.0)


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds; None is no bound.

    `mailbox` is how many messages an agent has in hand at most, `backlog` how many more may wait for it in the store.
    `patience` is how long a sender waits for room that is not there. `waiting` is how long a message waits for an agent
    that does not run before it becomes a dead letter; `idempotency_window` how long a key is known. Settled messages
    older than `retention` are deleted, into a compressed file each time where `archive` is set; dead letters older than
    `dead_letter_retention` too, and group conversations that nobody spoke in for `conversation_idle` are closed.
    """

    balance: Balance = Balance.CONTEXT
    overload: Overload = Overload.SPILL
    mailbox: int = 1000
    backlog: int = 100_000
    patience: float = 5.0
    max_hops: int = 8
    waiting: float | None = 604_800.0
    idempotency_window: float = 86_400.0
    retention: float | None = None
    dead_letter_retention: float | None = None
    conversation_idle: float | None = None
    archive: bool = True
    retries: RetrySettings = RetrySettings()
