"""The message: how whoever speaks to an agent does it.

Fields and performatives are those of FIPA ACL (SC00061G, message structure; SC00037J, communicative acts).
"""

from enum import StrEnum
from typing import Any

import msgspec


class Performative(StrEnum):
    """The 22 communicative acts of FIPA SC00037J; what the runtime does on each stands in `domain.protocol`."""

    ACCEPT_PROPOSAL = "accept-proposal"
    AGREE = "agree"
    CANCEL = "cancel"
    CFP = "cfp"
    CONFIRM = "confirm"
    DISCONFIRM = "disconfirm"
    FAILURE = "failure"
    INFORM = "inform"
    INFORM_IF = "inform-if"
    INFORM_REF = "inform-ref"
    NOT_UNDERSTOOD = "not-understood"
    PROPAGATE = "propagate"
    PROPOSE = "propose"
    PROXY = "proxy"
    QUERY_IF = "query-if"
    QUERY_REF = "query-ref"
    REFUSE = "refuse"
    REJECT_PROPOSAL = "reject-proposal"
    REQUEST = "request"
    REQUEST_WHEN = "request-when"
    REQUEST_WHENEVER = "request-whenever"
    SUBSCRIBE = "subscribe"


ORDINARY = 5
"""The priority of a message whose sender did not say; below it are those that can wait."""


class Durability(StrEnum):
    """Whether acceptance means stored (the default), or held in memory only."""

    STORED = "stored"
    MEMORY = "memory"


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One communicative act, immutable from the moment it is made; part of no cycle, so the collector need not look.

    `id` is a UUIDv7, so ids sort by time of making; `created_at` and `reply_by` are seconds since the epoch, UTC;
    `content` is a JSON object (`{"text": …}` in a request). `receiver` is an address (`domain.address`): before routing
    it may be a capability, a group or everybody, in a delivered message it is one agent's name, or whoever asked, and
    then `addressed` is what the sender had written. `priority` goes from 0 to 9, the most urgent.
    `idempotency_key` is the same in all repeats of one message by its sender: the first that is stored counts.

    `cause` is the message in whose handling this one was sent, `path` the agents through whose hands the work went so
    far, its asker first, and `hops` how many messages led to this one. `trace` is a W3C traceparent: one trace id for
    all that a first message led to. The reply to one that is `awaited` goes to whoever waits for it and to no mailbox.
    """

    id: str
    performative: Performative
    sender: str
    receiver: str
    conversation_id: str
    created_at: float
    content: dict[str, Any]
    in_reply_to: str | None = None
    reply_with: str | None = None
    reply_by: float | None = None
    protocol: str | None = None
    ontology: str | None = None
    language: str | None = None
    priority: int = ORDINARY
    idempotency_key: str | None = None
    hops: int = 0
    trace: str | None = None
    durability: Durability = Durability.STORED
    addressed: str | None = None
    cause: str | None = None
    path: tuple[str, ...] = ()
    awaited: bool = False

    @property
    def is_stored(self) -> bool:
        return self.durability is Durability.STORED

    @property
    def text(self) -> str:
        """The text of the content, empty where it has none."""
        text = self.content.get("text", "")
        return text if isinstance(text, str) else ""


def answer_to(request: Message, performative: Performative, content: dict[str, Any], *, id: str, now: float) -> Message:
    """A message by the receiver of `request` that answers it, in its conversation and as durable."""
    return Message(
        id=id,
        performative=performative,
        sender=request.receiver,
        receiver=request.sender,
        conversation_id=request.conversation_id,
        created_at=now,
        content=content,
        in_reply_to=request.id,
        reply_with=request.reply_with,
        protocol=request.protocol,
        priority=request.priority,
        hops=request.hops + 1,
        trace=request.trace,
        durability=request.durability,
        cause=request.id,
    )


class MessageState(StrEnum):
    """Where a stored message stands: accepted until its receiver has dealt with it.

    Then it is settled; or failed, where its sender was told so; or dead, where nobody waited to be told: dead letters
    are kept with all that is known of them until somebody replays or purges them.
    """

    ACCEPTED = "accepted"
    SETTLED = "settled"
    FAILED = "failed"
    DEAD = "dead"


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as the store holds it. `attempts` counts the deliveries begun."""

    message: Message
    state: MessageState
    attempts: int


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which stored messages are meant: those that fit all of what is given.

    `agent` has the messages to an agent and its replies, `since` those made at that time or later.
    """

    agent: str | None = None
    conversation_id: str | None = None
    state: MessageState | None = None
    performative: Performative | None = None
    sender: str | None = None
    since: float | None = None


class Exchange(msgspec.Struct, frozen=True):
    """A request and the reply it was answered with: one turn of a conversation."""

    request: Message
    reply: Message


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in a conversation with an agent, in short, up to and with the reply whose id is `upto`."""

    conversation_id: str
    agent: str
    text: str
    upto: str
    created_at: float


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased of a person: the ids of the conversations, and how many messages there were in them.

    `waiting` of the messages had no reply yet.
    """

    conversations: tuple[str, ...]
    messages: int
    waiting: int


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in one line: its id, who takes part, how long it is, when it began and last went on."""

    id: str
    agent: str
    messages: int
    created_at: float
    updated_at: float
