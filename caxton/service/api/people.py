"""People, as far as anything is kept of them, seen from outside."""

import msgspec

from caxton.domain.message import Conversation
from caxton.service.api.operation import Operation


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a person: how many memories are from or about them, and where they have taken part.

    `conversations` are those in which they spoke, `groups` the ids of those of several that they are in.
    """

    person: str
    memories: int
    conversations: list[Conversation]
    groups: list[str] = []


class PersonForgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How much was erased. `uses` of models were kept without their conversation.

    `waiting` of the messages were not answered yet: what their turns leave behind is erased by asking again.
    `participations` is how often they had joined conversations of several. Those in which they spoke went whole, with
    title, metadata and participants; others know nothing of them any more. `contracts` are those they called for that
    have ended; open ones are erased by asking again.
    """

    person: str
    memories: int
    conversations: int
    messages: int
    waiting: int
    uses: int
    participations: int = 0
    contracts: int = 0
    archived: int = 0


SHOW = Operation(
    name="people.show",
    method="GET",
    path="/people/{person}",
    summary="What is kept of a person",
    permission="people:read",
    response=PersonView,
)
FORGET = Operation(
    name="people.forget",
    method="DELETE",
    path="/people/{person}",
    summary="Erase a person's memories and every conversation they took part in, for good",
    permission="people:write",
    response=PersonForgotten,
)

OPERATIONS = (SHOW, FORGET)
