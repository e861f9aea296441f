"""What an agent remembers, as tools: a host without a process, over the memory of this very Caxton.

An agent has the same memory here that it recalls from before its turns: that of the `scope` in its `[memory]`.
Permissions are those of all tools.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, TypeAlias

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.memory import MemoryFilter, MemoryQuery, MemorySpace, NewMemory
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.tools import HostContext, HostKind, ProgressListener
from caxton.domain.tool import TextPart, ToolCall, ToolHints, ToolName, ToolResult, ToolSchema
from caxton.domain.tool_settings import McpServerSettings

NAME = "memory"
"""The name of the server, and of its kind."""
TAG = "tool"
"""Marks what was remembered by a call."""
MOST = 20


class _Remember(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=1)]
    key: str | None = None


class _Recall(msgspec.Struct, forbid_unknown_fields=True):
    query: Annotated[str, msgspec.Meta(min_length=1)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 5


class _Forget(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(min_length=1)]


TEXT: dict[str, object] = {"type": "string", "minLength": 1}
TOOLS: Mapping[str, tuple[str, dict[str, object], list[str], ToolHints]] = {
    "remember": (
        "Keep a fact for later. With a `key` the fact that was kept under it is replaced.",
        {"text": TEXT, "key": {"type": "string"}},
        ["text"],
        ToolHints(destructive=True, idempotent=False, open_world=False),
    ),
    "recall": (
        "Find what was kept, by meaning and by words; each with its id.",
        {"query": TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": 5}},
        ["query"],
        ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
    ),
    "forget": (
        "Delete what was kept under an id that `recall` told.",
        {"id": TEXT},
        ["id"],
        ToolHints(destructive=True, idempotent=True, open_world=False),
    ),
}


HomeOf: TypeAlias = Callable[[ToolCall], MemorySpace | None]
"""Where the agent that calls remembers; None where that is a conversation, and the call belongs to none."""


def own_memory(call: ToolCall) -> MemorySpace | None:
    """The space of the agent alone."""
    return MemorySpace(scope=MemoryScope.AGENT, owner=call.agent) if call.agent else None


def memory_kind(memory: Memory, home_of: HomeOf = own_memory) -> HostKind:
    """Makes hosts over that memory."""

    def make(settings: McpServerSettings, context: HostContext) -> MemoryHost:
        return MemoryHost(settings.name, memory, home_of)

    return make


class MemoryHost:
    """Implements `ports.tools.ToolHost`. There is nothing to start, to restart or to close."""

    def __init__(self, name: str, memory: Memory, home_of: HomeOf = own_memory) -> None:
        self._name = name
        self._memory = memory
        self._home_of = home_of
        self._tools = tuple(
            ToolSchema(
                name=ToolName(name, tool),
                description=description,
                parameters={
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": False,
                },
                hints=hints,
            )
            for tool, (description, properties, required, hints) in TOOLS.items()
        )

    def start(self) -> None:
        return None

    async def tools(self) -> tuple[ToolSchema, ...]:
        return self._tools

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        if call.agent is None:
            return _result(call, "Called by hand this has no memory: use `caxton memory` for that.", failed=True)
        if (space := self._home_of(call)) is None:
            return _result(call, "This agent remembers within a conversation, and the call is of none.", failed=True)
        try:
            return _result(call, await self._work(call, space))
        except msgspec.ValidationError as error:
            return _result(call, f"The arguments are not as they should be: {error}.", failed=True)
        except CaxtonError as error:
            if error.code is Code.MEMORY_INVALID:
                return _result(call, error.message, failed=True)
            raise

    def health(self) -> ComponentHealth:
        return ComponentHealth(name=f"tool server {self._name}", status=HealthStatus.OK)

    def logs(self) -> list[str]:
        return []

    async def restart(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def _work(self, call: ToolCall, space: MemorySpace) -> str:
        match call.tool.tool:
            case "remember":
                new = msgspec.convert(call.arguments, _Remember)
                # The memory's own sources are messages; so is this one's, where the call serves one.
                fact = NewMemory(value=new.text, key=new.key or None, tags=(TAG,), source=call.request)
                [entry] = await self._memory.remember(space, [fact])
                return f"Remembered as {entry.id}."
            case "recall":
                asked = msgspec.convert(call.arguments, _Recall)
                query = MemoryQuery(text=asked.query, filter=MemoryFilter(spaces=(space,)), limit=asked.limit)
                found = await self._memory.search(query)
                if found.hits:
                    await self._memory.used([hit.entry.id for hit in found.hits])
                lines = [f"{hit.entry.id}: {hit.entry.text}" for hit in found.hits]
                return "\n".join([*lines, found.warning] if found.warning else lines) or "Nothing was found."
            case "forget":
                wanted = msgspec.convert(call.arguments, _Forget)
                gone = await self._memory.forget(MemoryFilter(spaces=(space,), ids=(wanted.id,)))
                return "Forgotten." if gone else f"Nothing is remembered under the id {wanted.id!r}."
            case other:
                raise CaxtonError(Code.TOOL_NOT_FOUND, f"There is no tool '{self._name}.{other}'.")


def _result(call: ToolCall, text: str, *, failed: bool = False) -> ToolResult:
    return ToolResult(call=call.id, tool=call.tool, content=(TextPart(text),), failed=failed)
