"""Other agents, as tools: a host without a process, over the bus of this very Caxton.

What an agent may do with it is decided as for all tools, by its `tools`: `messaging.find` tells it of others,
`messaging.ask` and `messaging.send` let it make them work.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from caxton.domain.address import EVERYBODY
from caxton.domain.content import as_text
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.message import Message, Performative
from caxton.domain.ports.messenger import Contact, Errand, Messenger
from caxton.domain.ports.tools import HostContext, HostKind, ProgressListener
from caxton.domain.tool import TextPart, ToolCall, ToolHints, ToolName, ToolResult, ToolSchema
from caxton.domain.tool_settings import McpServerSettings

NAME = "messaging"
"""The name of the server, and of its kind."""
MOST = 20
LONGEST_WAIT = 3600
NOES = {Performative.FAILURE, Performative.REFUSE, Performative.NOT_UNDERSTOOD}
"""Replies that are no answer."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_WAIT)]
_Priority = Annotated[int, msgspec.Meta(ge=0, le=9)]


class _Ask(msgspec.Struct, forbid_unknown_fields=True):
    to: _Text
    text: _Text
    priority: _Priority | None = None
    timeout: _Seconds | None = None


class _Send(msgspec.Struct, forbid_unknown_fields=True):
    to: _Text
    text: _Text
    performative: Literal["inform", "request"] = "inform"
    priority: _Priority | None = None


class _Find(msgspec.Struct, forbid_unknown_fields=True):
    words: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 10


TO: dict[str, object] = {"type": "string", "minLength": 1, "description": "An agent's name, or a capability."}
TEXT: dict[str, object] = {
    "type": "string",
    "minLength": 1,
    "description": "All that the other one has to know: it sees nothing of this conversation.",
}
PRIORITY: dict[str, object] = {"type": "integer", "minimum": 0, "maximum": 9, "description": "9 is the most urgent."}
EFFECT = ToolHints(destructive=False, idempotent=False, open_world=True)
TOOLS: Mapping[str, tuple[str, dict[str, object], list[str], ToolHints]] = {
    "ask": (
        "Have another agent do something, and wait for its answer.",
        {
            "to": TO,
            "text": TEXT,
            "priority": PRIORITY,
            "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_WAIT, "description": "Seconds."},
        },
        ["to", "text"],
        EFFECT,
    ),
    "send": (
        "Tell another agent something (inform), or have it do something (request), without waiting. What it answers to"
        " a request comes later, as a message of its own.",
        {
            "to": {**TO, "description": "An agent's name, a capability, or group:ID for all others of a group."},
            "text": TEXT,
            "performative": {"type": "string", "enum": ["inform", "request"], "default": "inform"},
            "priority": PRIORITY,
        },
        ["to", "text"],
        EFFECT,
    ),
    "find": (
        "Find out which other agents there are, and what they can do.",
        {
            "words": {"type": "string", "description": "What it is about; leave it out to see all."},
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST, "default": 10},
        },
        [],
        ToolHints(read_only=True, destructive=False, idempotent=True, open_world=False),
    ),
}


def messaging_kind(messenger: Messenger) -> HostKind:
    """Makes hosts over that messenger."""

    def make(settings: McpServerSettings, context: HostContext) -> MessagingHost:
        return MessagingHost(settings.name, messenger)

    return make


class MessagingHost:
    """Implements `ports.tools.ToolHost`. There is nothing to start, to restart or to close.

    Whatever keeps another agent from answering is a failed result with the error: the model may do something else.
    """

    def __init__(self, name: str, messenger: Messenger) -> None:
        self._name = name
        self._messenger = messenger
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
        if call.agent is None or call.request is None:
            text = "Called by hand this has no turn to speak in: use `caxton message send` for that."
            return _result(call, text, failed=True)
        try:
            return await self._work(call, call.agent, call.request)
        except msgspec.ValidationError as error:
            return _result(call, f"The arguments are not as they should be: {error}.", failed=True)
        except CaxtonError as error:
            return ToolResult.refused(call, error)

    def health(self) -> ComponentHealth:
        return ComponentHealth(name=f"tool server {self._name}", status=HealthStatus.OK)

    def logs(self) -> list[str]:
        return []

    async def restart(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def _work(self, call: ToolCall, agent: str, request: str) -> ToolResult:
        match call.tool.tool:
            case "ask":
                asked = msgspec.convert(call.arguments, _Ask)
                errand = Errand(
                    agent=agent,
                    request=request,
                    to=asked.to,
                    text=asked.text,
                    occurrence=call.occurrence,
                    priority=asked.priority,
                    timeout=asked.timeout,
                )
                return _answer(call, await self._messenger.ask(errand))
            case "send":
                told = msgspec.convert(call.arguments, _Send)
                if told.to == EVERYBODY:
                    return _result(call, "Everybody at once is not for agents to speak to. Name one.", failed=True)
                errand = Errand(
                    agent=agent,
                    request=request,
                    to=told.to,
                    text=told.text,
                    occurrence=call.occurrence,
                    priority=told.priority,
                )
                sent = await self._messenger.send(errand, Performative(told.performative))
                return _sent(call, sent, told.performative)
            case "find":
                wanted = msgspec.convert(call.arguments, _Find)
                found = self._messenger.find(agent, wanted.words, wanted.limit)
                return _result(call, "\n".join(map(_line, found)) or "Nobody was found.")
            case other:
                raise CaxtonError(Code.TOOL_NOT_FOUND, f"There is no tool '{self._name}.{other}'.")


def _answer(call: ToolCall, reply: Message) -> ToolResult:
    """The other's reply as the result."""
    if reply.performative not in NOES:
        return _result(call, as_text(reply.content), reply)
    try:
        error = msgspec.convert(reply.content.get("error"), ErrorReport).error()
    except msgspec.ValidationError:
        # One that is no agent of ours words it as it likes.
        error = CaxtonError(
            Code.TOOL_FAILED, f"{reply.sender!r} answered with {reply.performative}: {as_text(reply.content)}"
        )
    return ToolResult.refused(call, error)


def _sent(call: ToolCall, messages: Sequence[Message], performative: str) -> ToolResult:
    if not messages:
        return _result(call, "Nobody of them takes messages now.", failed=True)
    names = ", ".join(message.receiver for message in messages)
    later = " What it answers will come as a message of its own." if performative == "request" else ""
    return _result(call, f"Sent to {names}.{later}")


def _line(contact: Contact) -> str:
    """An agent in a line: `writer: Writes well. Can do: prose (Letters and reports.); poems:v2`."""
    about = " ".join(contact.description.split())
    offers = "; ".join(
        f"{one.name} ({one.description})" if one.description else f"{one.name}" for one in contact.capabilities
    )
    told = " ".join(part for part in (about, f"Can do: {offers}" if offers else "") if part)
    return f"{contact.name}: {told or 'Says nothing of itself.'}"


def _result(call: ToolCall, text: str, reply: Message | None = None, *, failed: bool = False) -> ToolResult:
    structured = None
    if reply:
        structured = {"agent": reply.sender, "message": reply.id, "conversation_id": reply.conversation_id}
    return ToolResult(call=call.id, tool=call.tool, content=(TextPart(text),), structured=structured, failed=failed)
