"""What happens while an agent answers: the events that stream out, and the trace that stays."""

from typing import Any

import msgspec

from caxton.domain.completion import ChatMessage
from caxton.domain.errors import Code, ErrorReport
from caxton.domain.message import Message


class TurnStarted(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """An agent took up the request with id `request`."""

    request: str
    agent: str
    conversation_id: str


class TextDelta(msgspec.Struct, frozen=True, kw_only=True, tag="delta"):
    """A piece of the answer."""

    request: str
    text: str


class ToolStarted(msgspec.Struct, frozen=True, kw_only=True, tag="tool"):
    """The agent calls a tool."""

    request: str
    call: str
    tool: str
    arguments: dict[str, Any]


class ToolEnded(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result"):
    """A tool answered, or failed: then `error` is its code, if it has one. `duration` is in seconds."""

    request: str
    call: str
    tool: str
    failed: bool
    error: Code | None
    duration: float


class TurnEnded(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """The reply is there and stored: an inform, or a failure whose content has the error."""

    request: str
    reply: Message


class TurnPostponed(msgspec.Struct, frozen=True, kw_only=True, tag="postponed"):
    """There will be no answer now (the agent or the server stops); a stored request is delivered again later."""

    request: str
    error: ErrorReport


TurnEvent = TurnStarted | TextDelta | ToolStarted | ToolEnded | TurnEnded | TurnPostponed


class ProviderFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that was asked and did not answer, and what the next one in the agent's list was asked for."""

    provider: str
    error: ErrorReport


class ToolStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool call of a turn: what the model wrote, and what it was given back.

    Calls of the same `round` were made by one answer of the model, and at once. `duration` is in seconds.
    """

    round: int
    tool: str
    arguments: str
    result: str
    failed: bool = False
    error: Code | None = None
    duration: float = 0.0


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that was put into the prompt: its id, its text, and how well it fitted."""

    id: str
    text: str
    score: float


class TurnTrace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn as it ran: what the model was sent, what it cost, how it ended. Durations are in seconds."""

    request: str
    agent: str
    agent_version: str
    conversation_id: str
    provider: str
    model: str
    started_at: float
    prompt: tuple[ChatMessage, ...]
    prompt_tokens: int
    """As the provider counted them; before it answered, the most they can be."""
    left_out: int = 0
    """How many of the conversation's newest `max_turns` turns the window had no room for."""
    waited: float = 0.0
    first_token: float | None = None
    fallbacks: tuple[ProviderFailure, ...] = ()
    recalled: tuple[Recalled, ...] = ()
    steps: tuple[ToolStep, ...] = ()
    duration: float = 0.0
    reply: str = ""
    error: ErrorReport | None = None
