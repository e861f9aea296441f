"""Messages as FIPA has them, seen from outside: sent to any address, found by whatever is known of them."""

from typing import Any, Literal

import msgspec

from caxton.domain.errors import Code
from caxton.domain.message import Message, MessageState, Performative
from caxton.service.api.messages import MessageList, MessagesQuery
from caxton.service.api.operation import BodyKind, Operation

LONGEST_WAIT = 3600.0
"""Seconds that a client may wait for replies."""


class PostMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message by the fields of FIPA SC00061G.

    `receiver` is an agent, `capability:NAME`, `group:CONVERSATION` or `all`; `text` is short for a `content` of nothing
    but a text. `reply_by` is in seconds since the epoch, or a time with its zone (RFC 3339); `priority` goes from 0 to
    9, the most urgent. Without `conversation_id` it is said in the conversation of what it answers, of the group, or in
    the one that sender and receiver have; `"new"` begins another. What answers a message names it in `in_reply_to`, and
    has its receiver, conversation and sender from that.

    `wait` is how many seconds to wait for replies; 0 is not at all. A message whose reply somebody waits for is not
    tried again when it fails.
    """

    receiver: str | None = None
    performative: str = Performative.REQUEST.value
    sender: str | None = None
    content: dict[str, Any] | None = None
    text: str | None = None
    conversation_id: str | None = None
    reply_with: str | None = None
    in_reply_to: str | None = None
    reply_by: float | str | None = None
    protocol: str | None = None
    ontology: str | None = None
    language: str | None = None
    priority: int = 5
    idempotency_key: str | None = None
    durability: Literal["stored", "memory"] = "stored"
    trace: str | None = None
    wait: float = 0


class AcceptedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as one receiver is delivered it. With a repeated idempotency key that is the first one."""

    id: str
    receiver: str
    conversation_id: str


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message: to whom it goes, and the replies that came while the client waited, as they came."""

    accepted: list[AcceptedMessage]
    replies: list[Message]


class SearchQuery(MessagesQuery, frozen=True, kw_only=True):
    """`agent` has the messages to an agent and its replies; `since` is in seconds since the epoch, UTC."""

    agent: str | None = None
    state: MessageState | None = None
    performative: Performative | None = None
    sender: str | None = None
    since: float | None = None


class ReplyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`wait` is how many seconds to wait for a reply that is not there yet."""

    wait: float = 0


POST = Operation(
    name="messages.post",
    method="POST",
    path="/messages",
    summary="Send a FIPA message to any address, in JSON or MessagePack; wait for replies, or not",
    permission="messages:send",
    response=Posted,
    status=202,
    body=PostMessage,
    body_kind=BodyKind.FIPA,
    errors=(
        Code.AGENT_NOT_FOUND,
        Code.AGENT_NOT_RUNNING,
        Code.CAPABILITY_NOT_FOUND,
        Code.CONTENT_MISMATCH,
        Code.CONVERSATION_NOT_FOUND,
        Code.IDEMPOTENCY_KEY_REUSED,
        Code.MAILBOX_FULL,
        Code.MESSAGE_NOT_UNDERSTOOD,
        Code.REPLY_TIMEOUT,
        Code.STORAGE_FAILED,
    ),
)
SEARCH = Operation(
    name="messages.search",
    method="GET",
    path="/messages",
    summary="Messages of all agents, newest first, by whatever is known of them",
    permission="messages:read",
    response=MessageList,
    query=SearchQuery,
)
REPLY = Operation(
    name="messages.reply",
    method="GET",
    path="/messages/{id}/reply",
    summary="The reply to a stored message",
    permission="messages:read",
    response=Message,
    query=ReplyQuery,
    errors=(Code.MESSAGE_NOT_FOUND, Code.REPLY_TIMEOUT),
)

OPERATIONS = (POST, SEARCH, REPLY)
