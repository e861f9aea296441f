"""Dead letters, seen from outside: messages that could not be delivered or handled."""

from typing import Annotated, Any

import msgspec

from caxton.domain.delivery import DeadLetter, Failure
from caxton.domain.errors import Code
from caxton.service.api.operation import BodyKind, Operation, PageSize

Seconds = Annotated[float, msgspec.Meta(ge=0)]


class DeadLetterEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter in one line. `attempts` is how many failed, `code` and `error` are of the last one.

    Times are in seconds since the epoch, UTC.
    """

    id: str
    sender: str
    receiver: str
    performative: str
    conversation_id: str
    created_at: float
    died_at: float
    attempts: int
    code: Code
    error: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterEntry":
        return cls(**_fields(letter))


class DeadLetterView(DeadLetterEntry, frozen=True, kw_only=True):
    """A dead letter with all that is known of it: what it said, every failed attempt, and its trace (W3C traceparent).

    `addressed` is what its sender had written where that was no agent's name, `cause` the message in whose handling it
    was sent.
    """

    text: str
    content: dict[str, Any]
    failures: tuple[Failure, ...]
    addressed: str | None
    cause: str | None
    trace: str | None

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterView":
        message = letter.message
        return cls(
            **_fields(letter),
            text=message.text,
            content=message.content,
            failures=letter.failures,
            addressed=message.addressed,
            cause=message.cause,
            trace=message.trace,
        )


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first. `next` is the `before` of the following page, None at the end."""

    letters: list[DeadLetterEntry]
    next: str | None


class DeathCount(msgspec.Struct, frozen=True, kw_only=True):
    receiver: str
    code: str
    count: int


class DeadLetterStats(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are, the most frequent of receiver and error first."""

    total: int
    counts: list[DeathCount]


class DeadLetterQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which are meant: those for one receiver, those that died of one error, or both."""

    receiver: str | None = None
    code: str | None = None


class ListQuery(DeadLetterQuery, frozen=True, kw_only=True):
    limit: PageSize = 50
    before: str | None = None


class PurgeQuery(DeadLetterQuery, frozen=True, kw_only=True):
    """`older_than` is in seconds. `all` has to be said where nothing else narrows what is deleted."""

    id: str | None = None
    older_than: Seconds | None = None
    all: bool = False


class RedirectLetter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`receiver` is the agent that is to get it instead."""

    receiver: str


class ReplayLetters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those for one receiver, those that died of one error, or all; with `to`, for that agent instead.

    Of many, `limit` at once, the oldest first. `before` is that of the answer before: what has died since stays.
    """

    receiver: str | None = None
    code: str | None = None
    to: str | None = None
    limit: PageSize = 500
    before: float | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many wait for delivery again. `left` could be replayed yet; `unknown` have a receiver that is not there."""

    replayed: int
    left: int
    unknown: int
    before: float


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    purged: int


LIST = Operation(
    name="dlq.list",
    method="GET",
    path="/dlq",
    summary="List dead letters, newest first",
    permission="dlq:read",
    response=DeadLetterList,
    query=ListQuery,
)
STATS = Operation(
    name="dlq.stats",
    method="GET",
    path="/dlq/stats",
    summary="Count dead letters by receiver and error",
    permission="dlq:read",
    response=DeadLetterStats,
)
REPLAY_ALL = Operation(
    name="dlq.replay_all",
    method="POST",
    path="/dlq/replay",
    summary="Deliver dead letters again, in pages",
    permission="dlq:manage",
    response=Replayed,
    body=ReplayLetters,
    body_kind=BodyKind.JSON,
    errors=(Code.AGENT_NOT_FOUND,),
)
PURGE = Operation(
    name="dlq.purge",
    method="DELETE",
    path="/dlq",
    summary="Delete the dead letters that meet the conditions, for good",
    permission="dlq:manage",
    response=Purged,
    query=PurgeQuery,
)
SHOW = Operation(
    name="dlq.show",
    method="GET",
    path="/dlq/{id}",
    summary="Show a dead letter with every failed attempt",
    permission="dlq:read",
    response=DeadLetterView,
    errors=(Code.MESSAGE_NOT_FOUND,),
)
REPLAY = Operation(
    name="dlq.replay",
    method="POST",
    path="/dlq/{id}/replay",
    summary="Deliver a dead letter again",
    permission="dlq:manage",
    response=Replayed,
    errors=(Code.AGENT_NOT_FOUND, Code.MESSAGE_NOT_FOUND),
)
REDIRECT = Operation(
    name="dlq.redirect",
    method="POST",
    path="/dlq/{id}/redirect",
    summary="Deliver a dead letter to another agent",
    permission="dlq:manage",
    response=Replayed,
    body=RedirectLetter,
    body_kind=BodyKind.JSON,
    errors=(Code.AGENT_NOT_FOUND, Code.MESSAGE_NOT_FOUND),
)

OPERATIONS = (LIST, STATS, REPLAY_ALL, PURGE, SHOW, REPLAY, REDIRECT)


def _fields(letter: DeadLetter) -> dict[str, Any]:
    message, last = letter.message, letter.failures[-1]
    return {
        "id": message.id,
        "sender": message.sender,
        "receiver": message.receiver,
        "performative": message.performative.value,
        "conversation_id": message.conversation_id,
        "created_at": message.created_at,
        "died_at": letter.died_at,
        "attempts": last.attempt,
        "code": last.error.code,
        "error": last.error.message,
    }
