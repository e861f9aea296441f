"""The one vocabulary for talking to a language model, whatever the provider."""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class ChatMessage(msgspec.Struct, frozen=True):
    """One entry of a model's context."""

    role: Role
    content: str


class FinishReason(StrEnum):
    """Why the model stopped: it was done, its token limit was reached, or the content was filtered."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one completion, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


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


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, whole. `usage` is None where the provider did not say."""

    text: str
    model: str
    finish_reason: FinishReason = FinishReason.STOP
    usage: Usage | None = None


class Delta(msgspec.Struct, frozen=True):
    """A piece of an answer as it streams in."""

    text: str


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model. `context_length` is in tokens, None where unknown."""

    name: str
    context_length: int | None = None
