"""What happens, as it happens, seen from outside."""

from typing import Any

import msgspec

from caxton.domain.delivery import BusEventKind
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.lifecycle import AgentState, Trigger
from caxton.domain.message import Message
from caxton.domain.observation import AgentChanged, Heard, Missed, Observed, Opened, error_of
from caxton.domain.trace import trace_id_of
from caxton.service.api.operation import Operation


class EventMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as events tell of it: of a content of more than 4 KiB only the beginning of its text."""

    id: str
    performative: str
    sender: str
    receiver: str
    addressed: str | None
    conversation_id: str
    in_reply_to: str | None
    reply_with: str | None
    cause: str | None
    trace_id: str
    created_at: float
    priority: int
    text: str
    content: dict[str, Any]

    @classmethod
    def of(cls, message: Message) -> "EventMessage":
        return cls(
            id=message.id,
            performative=message.performative.value,
            sender=message.sender,
            receiver=message.receiver,
            addressed=message.addressed,
            conversation_id=message.conversation_id,
            in_reply_to=message.in_reply_to,
            reply_with=message.reply_with,
            cause=message.cause,
            trace_id=trace_id_of(message.id, message.trace),
            created_at=message.created_at,
            priority=message.priority,
            text=message.text,
            content=message.content,
        )


class FeedOpened(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """The `open` event: from here on everything is told as it happens."""

    id: str


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """A `message` event: something happened to a message.

    `reply` comes with settled and failed ones, `error` with whatever went wrong; `waited` is how long the message had
    waited to be begun, `duration` how long it was dealt with, in seconds; `cut` says that a content is not whole.
    """

    id: str
    kind: BusEventKind
    at: float
    message: EventMessage
    reply: EventMessage | None
    error: ErrorReport | None
    waited: float | None
    duration: float | None
    cut: bool


class AgentEvent(msgspec.Struct, frozen=True, kw_only=True, tag="agent"):
    """An `agent` event: an agent went from one state to another."""

    id: str
    at: float
    agent: str
    trigger: Trigger
    source: AgentState
    target: AgentState
    reason: str


class EventsMissed(msgspec.Struct, frozen=True, kw_only=True, tag="missed"):
    """A `missed` event: so many are missing here, as the reader was too slow or came too late; null for nobody knows.

    How many of them the reader's filter would have let through is known of a slow reader only.
    """

    count: int | None


FeedEvent = FeedOpened | MessageEvent | AgentEvent | EventsMissed


def feed_event(observed: Observed) -> FeedEvent:
    """What is told of something that happened."""
    match observed:
        case Opened(id):
            return FeedOpened(id=id)
        case Missed(count):
            return EventsMissed(count=count)
        case AgentChanged(id, event):
            return AgentEvent(
                id=id,
                at=event.at,
                agent=event.agent,
                trigger=event.trigger,
                source=event.source,
                target=event.target,
                reason=event.reason,
            )
        case Heard(id, event, cut):
            return MessageEvent(
                id=id,
                kind=event.kind,
                at=event.at,
                message=EventMessage.of(event.message),
                reply=EventMessage.of(event.reply) if event.reply else None,
                error=error_of(event),
                waited=event.waited,
                duration=event.duration,
                cut=cut,
            )


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted; what fits everything that is given is told.

    `agent` sends or receives a message, or changes; `kind` and `performative` are words, or several with commas.
    `after` is the id of the last event already seen.
    """

    agent: str | None = None
    conversation_id: str | None = None
    kind: str | None = None
    performative: str | None = None
    sender: str | None = None
    trace_id: str | None = None
    after: str | None = None


STREAM = Operation(
    name="events.stream",
    method="GET",
    path="/events",
    summary="Follow what happens to messages and agents, as Server-Sent Events (by WebSocket at /events/ws)",
    permission="events:read",
    response=None,
    query=EventsQuery,
    events={"open": FeedOpened, "message": MessageEvent, "agent": AgentEvent, "missed": EventsMissed},
    errors=(Code.TOO_MANY_READERS,),
)

OPERATIONS = (STREAM,)
