"""The message: how whoever speaks to an agent does it.

Fields and performatives are those of FIPA ACL (SC00061G, message structure; SC00037J, communicative acts).
"""

from enum import StrEnum
from typing import Any

import msgspec


class Performative(StrEnum):
    """The 22 communicative acts of FIPA SC00037J; the runtime acts on request, inform and failure so far."""

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


class Durability(StrEnum):
    """Whether acceptance means stored (the default), or held in memory only."""

    STORED = "stored"
    MEMORY = "memory"


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One communicative act, immutable from the moment it is made.

    `id` is a UUIDv7, so ids sort by time of making; `created_at` and `reply_by` are seconds since the epoch, UTC;
    `content` is a JSON object (`{"text": …}` in a request). `receiver` is an agent's name or whoever asked.
    `idempotency_key` is the same in all repeats of one message by its sender: the first that is stored counts.
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
    priority: int = 5
    idempotency_key: str | None = None
    hops: int = 0
    trace: str | None = None
    durability: Durability = Durability.STORED

    @property
    def text(self) -> str:
        """The text of the content, empty where it has none."""
        text = self.content.get("text", "")
        return text if isinstance(text, str) else ""


class MessageState(StrEnum):
    """Where a stored message stands: accepted until its receiver has dealt with it, then settled or failed."""

    ACCEPTED = "accepted"
    SETTLED = "settled"
    FAILED = "failed"


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the store holds it. `attempts` counts the deliveries begun."""

    message: Message
    state: MessageState
    attempts: int


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
