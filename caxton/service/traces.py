"""The operations on traces.

What is kept of a trace over restarts is in the messages themselves: replies say which model gave them, what it cost and
which tools it called. The whole turn, with every prompt and result, is in memory for recent ones only.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from caxton.domain.completion import Usage
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import Message, StoredMessage
from caxton.domain.observation import LONGEST, cut
from caxton.domain.ports.messages import MessageStore
from caxton.domain.trace import trace_id_of
from caxton.runtime.traces import Traces
from caxton.service.api.events import EventMessage
from caxton.service.api.messages import ToolUse
from caxton.service.api.traces import TraceNode, TraceTree


class TraceService:
    """One method an operation of `service.api.traces`."""

    def __init__(self, *, store: MessageStore, traces: Traces) -> None:
        self._store = store
        self._traces = traces

    async def tree(self, *, id: str, limit: int = 1000) -> TraceTree:
        asked = self._store.find(id)
        if asked is None:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {id!r}.")
        trace_id = trace_id_of(id, asked.message.trace)
        found = await self._store.traced(trace_id, limit=limit)
        known = {one.message.id: one for one in found}
        # The first message may have been stored by those who knew of no traces; the trace has its id.
        for more in (asked, self._store.find(str(UUID(trace_id)))):
            if more:
                known.setdefault(more.message.id, more)
        messages = sorted(known.values(), key=lambda one: one.message.created_at)
        began, ended = messages[0].message.created_at, messages[-1].message.created_at
        return TraceTree(
            trace_id=trace_id,
            began=began,
            duration=ended - began,
            complete=len(found) < limit,
            nodes=self._nodes(messages),
        )

    def _nodes(self, messages: Sequence[StoredMessage]) -> list[TraceNode]:
        began = messages[0].message.created_at
        parents = parents_of([one.message for one in messages])
        replied: dict[str, Message] = {}
        for one in messages:
            if answered := one.message.in_reply_to:
                replied.setdefault(answered, one.message)
        by_id = {one.message.id: one for one in messages}
        return [
            self._node(by_id[id], parents[id], depth, began, replied.get(id)) for id, depth in in_tree_order(parents)
        ]

    def _node(
        self, stored: StoredMessage, parent: str | None, depth: int, began: float, reply: Message | None
    ) -> TraceNode:
        message = stored.message
        turn = self._traces.find(message.in_reply_to) if message.in_reply_to else None
        if turn and turn.agent != message.sender:
            turn = None
        shown, is_cut = cut(message, LONGEST)
        said = message.content if message.in_reply_to else {}
        rounds = {step.round for step in turn.steps} if turn else set()
        return TraceNode(
            message=EventMessage.of(shown),
            state=stored.state,
            attempts=stored.attempts,
            parent=parent,
            depth=depth,
            after=message.created_at - began,
            took=max(0.0, reply.created_at - message.created_at) if reply else None,
            provider=_read(said, "provider", str),
            model=_read(said, "model", str),
            usage=_read(said, "usage", Usage),
            model_calls=len(rounds) + (turn.error is None) if turn else None,
            duration=_read(said, "duration", float),
            tools=_read(said, "tools", tuple[ToolUse, ...]) or (),
            error=_read(message.content, "error", ErrorReport),
            turn=turn is not None,
            cut=is_cut,
        )


def parents_of(messages: Sequence[Message]) -> dict[str, str | None]:
    """For each message the one that it comes from, in the order given.

    That is the one it answers, else the one in whose handling it was sent, where that is among those before it: there
    is no circle, whatever senders wrote.
    """
    parents: dict[str, str | None] = {}
    for message in messages:
        parents[message.id] = next((one for one in (message.in_reply_to, message.cause) if one in parents), None)
    return parents


def in_tree_order(parents: dict[str, str | None]) -> list[tuple[str, int]]:
    """Every id and its depth: each followed by its children, in the order of `parents`, which come after theirs."""
    children: dict[str | None, list[str]] = {}
    for id, parent in parents.items():
        children.setdefault(parent, []).append(id)
    ordered: list[tuple[str, int]] = []
    waiting = [(id, 0) for id in reversed(children.get(None, ()))]
    while waiting:
        id, depth = waiting.pop()
        ordered.append((id, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(id, ()))]
    return ordered


def _read(content: dict[str, Any], name: str, kind: Any) -> Any:
    """A field of a content; None where it is another thing than an agent of ours writes there."""
    try:
        return msgspec.convert(content.get(name), kind | None)
    except msgspec.ValidationError:
        return None
