"""Messages, seen from outside."""

from typing import Any

import msgspec

from caxton.domain.completion import ChatMessage, FinishReason, Usage
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.message import StoredMessage as Stored
from caxton.domain.turn import ProviderFailure, TurnTrace
from caxton.service.api.operation import BodyKind, Operation, PageSize


class SendMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to an agent.

    Without `conversation_id` it goes on in the one conversation that `sender` and the agent have; `"new"` begins
    another. `history` replaces the stored conversation by the caller's own, and then nothing is stored. `images` are
    data URLs (`data:image/png;base64,…`) that the model is shown with the text; later turns have the text alone.

    With an `idempotency_key` a message that is sent again by the same sender is not answered again: the reply is that
    to the first one, or its error, for as long as the first one is kept. It does not go with `history`.

    `trace` is a W3C traceparent, as the header of that name; all that the message leads to has its trace id.
    """

    text: str
    conversation_id: str | None = None
    sender: str | None = None
    history: tuple[ChatMessage, ...] | None = None
    images: tuple[str, ...] = ()
    idempotency_key: str | None = None
    trace: str | None = None


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call of a turn, in short; `duration` is in seconds."""

    tool: str
    failed: bool
    duration: float


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's answer. `duration` is in seconds, `created_at` in seconds since the epoch, UTC.

    `fallbacks` are the providers that were asked before the one that answered; `data` is the text read as JSON, where
    the agent has a `response_schema`.
    """

    id: str
    in_reply_to: str
    agent: str
    conversation_id: str
    text: str
    provider: str
    model: str
    finish_reason: FinishReason
    usage: Usage | None
    duration: float
    created_at: float
    fallbacks: tuple[ProviderFailure, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    data: Any = None

    @classmethod
    def of(cls, message: Message) -> "Reply":
        """A reply as whoever asked sees it; raises the CaxtonError of a failure."""
        if message.performative is not Performative.INFORM:
            raise msgspec.convert(message.content["error"], ErrorReport).error()
        return msgspec.convert(
            {
                **message.content,
                "id": message.id,
                "in_reply_to": message.in_reply_to,
                "agent": message.sender,
                "conversation_id": message.conversation_id,
                "created_at": message.created_at,
            },
            cls,
        )


class ReplyStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The `start` event of a streamed reply: the request is stored and its turn began."""

    in_reply_to: str
    agent: str
    conversation_id: str


class ReplyDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A `delta` event of a streamed reply."""

    text: str


class ReplyTool(msgspec.Struct, frozen=True, kw_only=True):
    """A `tool` event of a streamed reply: the agent calls a tool."""

    call: str
    tool: str
    arguments: dict[str, Any]


class ReplyToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """A `tool_result` event: the tool answered, or failed, with the code of an error if it has one; `duration` in s."""

    call: str
    tool: str
    failed: bool
    error: Code | None
    duration: float


ReplyEvent = ReplyStarted | ReplyDelta | ReplyTool | ReplyToolResult | Reply
"""What a streamed reply consists of: one start, deltas and tool calls, one whole reply; an error ends it early."""


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message; what the fields mean stands in `domain.message`. `attempts` counts the deliveries begun."""

    id: str
    performative: str
    sender: str
    receiver: str
    conversation_id: str
    created_at: float
    text: str
    content: dict[str, Any]
    in_reply_to: str | None
    state: MessageState
    attempts: int
    addressed: str | None
    reply_with: str | None
    reply_by: float | None
    protocol: str | None
    priority: int
    hops: int
    path: tuple[str, ...]
    cause: str | None
    trace: str | None

    @classmethod
    def of(cls, stored: Stored) -> "MessageView":
        message = stored.message
        return cls(
            id=message.id,
            performative=message.performative.value,
            sender=message.sender,
            receiver=message.receiver,
            conversation_id=message.conversation_id,
            created_at=message.created_at,
            text=message.text,
            content=message.content,
            in_reply_to=message.in_reply_to,
            state=stored.state,
            attempts=stored.attempts,
            addressed=message.addressed,
            reply_with=message.reply_with,
            reply_by=message.reply_by,
            protocol=message.protocol,
            priority=message.priority,
            hops=message.hops,
            path=message.path,
            cause=message.cause,
            trace=message.trace,
        )


class MessageList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages, newest first. `next` is the `before` of the following page, None at the end."""

    messages: list[MessageView]
    next: str | None


class MessagesQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 50
    before: str | None = None
    conversation_id: str | None = None


SEND = Operation(
    name="messages.send",
    method="POST",
    path="/agents/{name}/message",
    summary="Send a message and wait for the reply, whole or streamed",
    permission="messages:send",
    response=Reply,
    body=SendMessage,
    body_kind=BodyKind.MESSAGE,
    events={
        "start": ReplyStarted,
        "delta": ReplyDelta,
        "tool": ReplyTool,
        "tool_result": ReplyToolResult,
        "reply": Reply,
    },
    aliases=("/agents/{name}/messages",),
    errors=(
        Code.AGENT_NOT_FOUND,
        Code.AGENT_NOT_RUNNING,
        Code.BODY_TOO_LARGE,
        Code.CONTEXT_TOO_LONG,
        Code.IDEMPOTENCY_KEY_REUSED,
        Code.MAILBOX_FULL,
        Code.PROVIDER_AUTHENTICATION,
        Code.PROVIDER_QUOTA,
        Code.PROVIDER_RATE_LIMITED,
        Code.PROVIDER_TIMEOUT,
        Code.PROVIDER_UNAVAILABLE,
        Code.TURN_CRASHED,
        Code.TURN_TIMEOUT,
    ),
)
LIST = Operation(
    name="messages.list",
    method="GET",
    path="/agents/{name}/messages",
    summary="The agent's messages, newest first",
    permission="messages:read",
    response=MessageList,
    query=MessagesQuery,
    errors=(Code.AGENT_NOT_FOUND,),
)
SHOW = Operation(
    name="messages.show",
    method="GET",
    path="/messages/{id}",
    summary="Show a stored message",
    permission="messages:read",
    response=MessageView,
    errors=(Code.MESSAGE_NOT_FOUND,),
)
TRACE = Operation(
    name="messages.trace",
    method="GET",
    path="/messages/{id}/trace",
    summary="What the model was sent to answer a message, and how the turn went (recent turns only)",
    permission="messages:read",
    response=TurnTrace,
    errors=(Code.MESSAGE_NOT_FOUND,),
)

OPERATIONS = (SEND, LIST, SHOW, TRACE)
