"""What the answers of the OpenAI protocol look like, as far as we read them.

The official client trusts what it is sent. Here it is found right or raises `msgspec.ValidationError`, with the place
and what was expected there; only what is not needed for an answer (usage, model, reason) may be missing or odd.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from caxton.domain.completion import FinishReason, ToolCall, Usage


class Function(msgspec.Struct, frozen=True):
    """The function of a call. Some servers send the arguments as an object instead of its JSON."""

    name: str | None = None
    arguments: str | Mapping[str, Any] | None = None

    @property
    def written(self) -> str:
        return json.dumps(self.arguments) if isinstance(self.arguments, Mapping) else self.arguments or ""


class Call(msgspec.Struct, frozen=True):
    """A tool call, or a piece of one: pieces of the same call have the same index."""

    function: Function | None = None
    id: str | None = None
    index: int | None = None


class Text(msgspec.Struct, frozen=True):
    """A message, or a piece of one. `refusal` is said instead of content by models that refuse."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


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


class Calls:
    """The tool calls of one answer, put together from the pieces in which they come."""

    def __init__(self) -> None:
        self._calls: dict[int, list[str]] = {}

    def take(self, pieces: list[Call] | None) -> None:
        for piece in pieces or ():
            # Servers that number nothing send every call whole.
            place = len(self._calls) if piece.index is None else piece.index
            call = self._calls.setdefault(place, ["", "", ""])
            call[0] = piece.id or call[0]
            if piece.function:
                call[1] += piece.function.name or ""
                call[2] += piece.function.written

    def whole(self) -> tuple[ToolCall, ...]:
        """The calls by their index. Servers that give no ids get some: results are assigned by them."""
        return tuple(
            ToolCall(id=id or f"call_{place}", name=name, arguments=arguments)
            for place, (id, name, arguments) in sorted(self._calls.items())
            if name
        )


def usage_from(value: object) -> Usage | None:
    """None where the provider did not say, or not in full."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, Usage, from_attributes=True)
    except msgspec.ValidationError:
        return None


def finish_from(reason: object) -> FinishReason:
    """Every reason but these means that the model was done, or that the provider does not tell."""
    if reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALLS):
        return FinishReason(str(reason))
    return FinishReason.STOP
