"""What the answers of the OpenAI protocol look like, as far as we read them.

The official client trusts what it is sent. Here it is found right or raises `msgspec.ValidationError`, with the place
and what was expected there; only what is not needed for an answer (usage, model, reason) may be missing or odd.
"""

from typing import Annotated, Any

import msgspec

from caxton.domain.completion import FinishReason, Usage


class Text(msgspec.Struct, frozen=True):
    """A message, or a piece of one. `refusal` is said instead of content by models that refuse."""

    content: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, frozen=True):
    message: Text
    finish_reason: Any = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. Only the first of its choices is read: we ask for one."""

    choices: Annotated[list[Choice], msgspec.Meta(min_length=1)]
    model: Any = None
    usage: Any = None


class ChunkChoice(msgspec.Struct, frozen=True):
    delta: Text | None = None
    finish_reason: Any = None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a streamed answer; the one that brings the usage has no choices."""

    choices: list[ChunkChoice] | None = None
    model: Any = None
    usage: Any = None


def answer_from(value: object) -> Answer:
    if isinstance(value, str):
        # What the client makes of anything but JSON; most often it is a web page.
        raise msgspec.ValidationError(f"Expected a JSON object, got {value[:200]!r}")
    return msgspec.convert(value, Answer, from_attributes=True)


def chunk_from(value: object) -> Chunk:
    return msgspec.convert(value, Chunk, from_attributes=True)


def usage_from(value: object) -> Usage | None:
    """None where the provider did not say, or not in full."""
    try:
        return msgspec.convert(value, Usage, from_attributes=True)
    except msgspec.ValidationError:
        return None


def finish_from(reason: object) -> FinishReason:
    """Every reason but these two means that the model was done, or that the provider does not tell."""
    if reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER):
        return FinishReason(str(reason))
    return FinishReason.STOP
