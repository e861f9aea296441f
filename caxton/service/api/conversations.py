"""Conversations, seen from outside."""

from typing import Annotated, Any

import msgspec

from caxton.domain.conversation import Group, History, Order, Participant, ParticipantKind
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import Conversation
from caxton.service.api.messages import MessageView, Reply
from caxton.service.api.operation import BodyKind, Operation, PageSize

MOST_ROUNDS = 20
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Rounds = Annotated[int, msgspec.Meta(ge=1, le=MOST_ROUNDS)]


class ConversationEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in one line: `agent` is the first that it was held with; of a group there is what is kept of it.

    Times are in seconds since the epoch, UTC.
    """

    id: str
    agent: str
    messages: int
    created_at: float
    updated_at: float
    group: Group | None = None

    @classmethod
    def of(cls, conversation: Conversation, group: Group | None) -> "ConversationEntry":
        return cls(
            id=conversation.id,
            agent=conversation.agent,
            messages=conversation.messages,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            group=group,
        )

    @classmethod
    def of_silent(cls, group: Group) -> "ConversationEntry":
        """That of a group in which nothing has been said."""
        return cls(
            id=group.id,
            agent=next(iter(group.agents), ""),
            messages=0,
            created_at=group.created_at,
            updated_at=group.created_at,
            group=group,
        )


class ConversationList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations, last active first. `next` is the `before` of the following page, None at the end.

    With `participant` they are that one's groups, the newest first. `silent` are groups in which nobody has spoken yet;
    they come with the first page.
    """

    conversations: list[ConversationEntry]
    next: str | None
    silent: list[ConversationEntry] = []


class Participation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody joined, or left. `at` is in seconds since the epoch, UTC."""

    at: float
    name: str
    kind: ParticipantKind
    joined: bool

    @classmethod
    def of(cls, participants: list[Participant]) -> "list[Participation]":
        """All that came and went, the oldest first."""
        events = [cls(at=one.joined_at, name=one.name, kind=one.kind, joined=True) for one in participants]
        events += [
            cls(at=one.left_at, name=one.name, kind=one.kind, joined=False)
            for one in participants
            if one.left_at is not None
        ]
        return sorted(events, key=lambda event: event.at)


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with its newest messages, oldest first; of a group also who came and went."""

    conversation: ConversationEntry
    messages: list[MessageView]
    events: list[Participation] = []


class ConversationReset(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    messages_erased: int


class CreateConversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversation of several. `participants` are agents, in the order in which they are to speak.

    Without an `id` one is made up. `metadata` is any JSON object of at most 16 KB. After `idle` seconds of silence the
    conversation is closed, after `conversation_idle` of `[bus]` where there is none.
    """

    participants: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    id: str | None = None
    title: str = ""
    metadata: dict[str, Any] = {}
    history: History = History.SHARED
    order: Order = Order.TOGETHER
    idle: Seconds | None = None


class SpeakToGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to all agents of a conversation, which answer it `rounds` times, each time knowing more.

    `images` are data URLs, as in a message to one agent.
    """

    text: str
    sender: str | None = None
    rounds: Rounds = 1
    images: tuple[str, ...] = ()


class SpeakerStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The `start` event: an agent takes up the message, in that round. `in_reply_to` is the message as it got it."""

    agent: str
    round: int
    in_reply_to: str
    conversation_id: str


class SpeakerDelta(msgspec.Struct, frozen=True, kw_only=True):
    """A `delta` event: a piece of what an agent says."""

    agent: str
    text: str


class GroupReply(msgspec.Struct, frozen=True, kw_only=True):
    """A `reply` event: what an agent said in a round, or why it said nothing."""

    agent: str
    round: int
    reply: Reply | None = None
    error: ErrorReport | None = None


class GroupReplies(msgspec.Struct, frozen=True, kw_only=True):
    """What the agents of a conversation answered, in the order in which they joined, round by round.

    An agent that failed has an `error`; the others are asked all the same.
    """

    conversation_id: str
    replies: list[GroupReply]


GroupEvent = SpeakerStarted | SpeakerDelta | GroupReply | GroupReplies


class ConversationsQuery(msgspec.Struct, frozen=True, kw_only=True):
    agent: str | None = None
    participant: str | None = None
    limit: PageSize = 50
    before: str | None = None


class ConversationQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 100


class JoinQuery(msgspec.Struct, frozen=True, kw_only=True):
    kind: ParticipantKind = ParticipantKind.AGENT


LIST = Operation(
    name="conversations.list",
    method="GET",
    path="/conversations",
    summary="List conversations, last active first",
    permission="conversations:read",
    response=ConversationList,
    query=ConversationsQuery,
)
CREATE = Operation(
    name="conversations.create",
    method="POST",
    path="/conversations",
    summary="Begin a conversation of several agents and people",
    permission="conversations:write",
    response=Group,
    status=201,
    body=CreateConversation,
    body_kind=BodyKind.JSON,
    errors=(Code.AGENT_NOT_FOUND, Code.CONVERSATION_EXISTS),
)
SHOW = Operation(
    name="conversations.show",
    method="GET",
    path="/conversations/{id}",
    summary="Show a conversation and its newest messages",
    permission="conversations:read",
    response=ConversationView,
    query=ConversationQuery,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)
SEND = Operation(
    name="conversations.send",
    method="POST",
    path="/conversations/{id}/message",
    summary="Say something to all agents of a conversation and wait for their replies, whole or streamed",
    permission="messages:send",
    response=GroupReplies,
    body=SpeakToGroup,
    body_kind=BodyKind.JSON,
    events={"start": SpeakerStarted, "delta": SpeakerDelta, "reply": GroupReply, "replies": GroupReplies},
    errors=(Code.CONVERSATION_CLOSED, Code.CONVERSATION_NOT_FOUND, Code.PARTICIPANT_NOT_FOUND),
)
JOIN = Operation(
    name="conversations.join",
    method="POST",
    path="/conversations/{id}/participants/{name}",
    summary="Have an agent or a person take part in a conversation; its history is the newcomer's too",
    permission="conversations:write",
    response=Group,
    query=JoinQuery,
    errors=(Code.AGENT_NOT_FOUND, Code.CONVERSATION_CLOSED, Code.CONVERSATION_NOT_FOUND),
)
LEAVE = Operation(
    name="conversations.leave",
    method="DELETE",
    path="/conversations/{id}/participants/{name}",
    summary="Have somebody take part in a conversation no longer",
    permission="conversations:write",
    response=Group,
    errors=(Code.CONVERSATION_NOT_FOUND, Code.PARTICIPANT_NOT_FOUND),
)
CLOSE = Operation(
    name="conversations.close",
    method="POST",
    path="/conversations/{id}/close",
    summary="Close a conversation of several: it is kept, and takes no messages",
    permission="conversations:write",
    response=Group,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)
REOPEN = Operation(
    name="conversations.reopen",
    method="POST",
    path="/conversations/{id}/reopen",
    summary="Open a closed conversation again",
    permission="conversations:write",
    response=Group,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)
RESET = Operation(
    name="conversations.reset",
    method="POST",
    path="/conversations/{id}/reset",
    summary="Erase a conversation's messages and who has left it; the next turn begins afresh",
    permission="conversations:write",
    response=ConversationReset,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)
DELETE = Operation(
    name="conversations.delete",
    method="DELETE",
    path="/conversations/{id}",
    summary="Erase a conversation: its messages, its participants and all that is kept with it",
    permission="conversations:write",
    response=ConversationReset,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)

OPERATIONS = (LIST, CREATE, SHOW, SEND, JOIN, LEAVE, CLOSE, REOPEN, RESET, DELETE)
