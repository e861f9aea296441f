"""The one vocabulary for talking to a language model, whatever the provider."""

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Whose message it is. A `tool` message is the result of a call that an `assistant` message made."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that a message shows: its bytes, and their media type (`image/png`, `image/jpeg` …)."""

    media_type: str
    data: bytes


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as the model is told of it. `parameters` is the JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the model makes. `arguments` is what it wrote, which ought to be a JSON object and may be none."""

    id: str
    name: str
    arguments: str


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a model's context.

    `tool_calls` are an assistant's; `tool_call_id` says which of them a tool's message is the result of.
    """

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class FinishReason(StrEnum):
    """Why the model stopped: done, its token limit reached, the content filtered, or tools have to be called first."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


class ToolChoice(StrEnum):
    """Whether the model may call tools, must call one, or must not."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one completion, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


class ResponseSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer has to be: JSON that fits `schema` (JSON Schema). `name` is for the provider's records."""

    schema: dict[str, Any]
    name: str = "answer"


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is asked. None leaves a choice to the provider's default; `timeout` is in seconds for the whole."""

    messages: tuple[ChatMessage, ...]
    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    timeout: float | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = ToolChoice.AUTO
    response_schema: ResponseSchema | None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, whole. `usage` is None where the provider did not say."""

    text: str
    model: str
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()


class Delta(msgspec.Struct, frozen=True):
    """A piece of an answer's text as it streams in. Tool calls come whole, in the Completion."""

    text: str


class Capability(StrEnum):
    """What a model may be able to do beyond answering text with text."""

    TOOLS = "tools"
    VISION = "vision"
    JSON_SCHEMA = "json_schema"


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. `context_length` is in tokens; None stands for what is not known."""

    name: str
    context_length: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None

    def has(self, capability: Capability) -> bool | None:
        """Whether the model has it; None where that is not known."""
        answer: bool | None = getattr(self, capability.value)
        return answer


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far fetching a model has come. Bytes; `total` is None while it is not known."""

    status: str
    completed: int = 0
    total: int | None = None
