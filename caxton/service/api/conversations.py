"""Conversations, seen from outside."""

import msgspec

from caxton.domain.errors import Code
from caxton.domain.message import Conversation
from caxton.service.api.messages import MessageView
from caxton.service.api.operation import Operation, PageSize


class ConversationList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations, last active first. `next` is the `before` of the following page, None at the end."""

    conversations: list[Conversation]
    next: str | None


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with its newest messages, oldest first."""

    conversation: Conversation
    messages: list[MessageView]


class ConversationReset(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    messages_erased: int


class ConversationsQuery(msgspec.Struct, frozen=True, kw_only=True):
    agent: str | None = None
    limit: PageSize = 50
    before: str | None = None


class ConversationQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 100


LIST = Operation(
    name="conversations.list",
    method="GET",
    path="/conversations",
    summary="List conversations, last active first",
    permission="conversations:read",
    response=ConversationList,
    query=ConversationsQuery,
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
RESET = Operation(
    name="conversations.reset",
    method="POST",
    path="/conversations/{id}/reset",
    summary="Erase a conversation's messages; the next turn begins afresh",
    permission="conversations:write",
    response=ConversationReset,
    errors=(Code.CONVERSATION_NOT_FOUND,),
)

OPERATIONS = (LIST, SHOW, RESET)
