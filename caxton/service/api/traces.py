"""All that a first message led to, seen from outside."""

import msgspec

from caxton.domain.completion import Usage
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import MessageState
from caxton.service.api.events import EventMessage
from caxton.service.api.messages import ToolUse
from caxton.service.api.operation import Operation, PageSize


class TraceNode(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a trace; of a content of more than 4 KiB there is only the beginning of its text.

    `parent` is the id of the message that it answers or in whose handling it was sent, `depth` how many parents there
    are, `after` how long after the first message it was made, `took` how long until its reply was. Times in seconds.

    A reply that an agent's model gave has what that cost: `model_calls` and `duration`, tokens, tools. With `turn`, GET
    /messages/{parent}/trace still has all that the model was sent. `error` is what a failure says.
    """

    message: EventMessage
    state: MessageState
    attempts: int
    parent: str | None
    depth: int
    after: float
    took: float | None
    provider: str | None
    model: str | None
    usage: Usage | None
    model_calls: int | None
    duration: float | None
    tools: tuple[ToolUse, ...]
    error: ErrorReport | None
    turn: bool
    cut: bool


class TraceTree(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as a tree: each message is followed by those that it led to, in the order in which they were made.

    `duration` is from the first message to the last one. It is not `complete` where there are more messages.
    """

    trace_id: str
    began: float
    duration: float
    complete: bool
    nodes: list[TraceNode]


class TreeQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 1000


TREE = Operation(
    name="traces.tree",
    method="GET",
    path="/messages/{id}/tree",
    summary="All that led to a message and all that the first of them led to, with times, models and tools",
    permission="messages:read",
    response=TraceTree,
    query=TreeQuery,
    errors=(Code.MESSAGE_NOT_FOUND,),
)

OPERATIONS = (TREE,)
