"""What is asked of the OpenAI-compatible interface, and the message to an agent that it comes to."""

from collections.abc import Mapping
from typing import Any

import msgspec

from caxton.domain.completion import ChatMessage, Role
from caxton.domain.errors import Code
from caxton.server.misfits import Misfit
from caxton.service.api.messages import SendMessage

SUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "audio": (),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "response_format": ({"type": "text"},),
    "stop": ([], ""),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "web_search_options": (),
}
"""The options that change what an answer is, and the values with which they change nothing."""


class ImageUrl(msgspec.Struct, frozen=True):
    url: str


class ContentPart(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    image_url: ImageUrl | None = None


class InputMessage(msgspec.Struct, frozen=True):
    """A message of the conversation; what else OpenAI has in its own replies may be sent back along with it."""

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None
    audio: Any = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chat completion request of the OpenAI API; `model` is an agent's name.

    The last message is what the agent is asked, the others are the history. The agent's own definition decides on
    sampling, lengths and effort: those options are taken and left unused. `n` other than 1, tools, `stop` and whatever
    else would change the answer is refused.
    """

    model: str
    messages: list[InputMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Refused, but for the values in SUPPORTED.
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    logit_bias: Any = None
    logprobs: Any = None
    modalities: Any = None
    n: Any = None
    prediction: Any = None
    response_format: Any = None
    stop: Any = None
    tool_choice: Any = None
    tools: Any = None
    top_logprobs: Any = None
    web_search_options: Any = None
    # Taken and left unused.
    frequency_penalty: Any = None
    max_completion_tokens: Any = None
    max_tokens: Any = None
    metadata: Any = None
    parallel_tool_calls: Any = None
    presence_penalty: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    reasoning_effort: Any = None
    safety_identifier: Any = None
    seed: Any = None
    service_tier: Any = None
    store: Any = None
    temperature: Any = None
    top_p: Any = None
    user: Any = None
    verbosity: Any = None


def translate(asked: ChatRequest) -> SendMessage:
    """The last message as the agent's, those before it as the history; CaxtonError `body_invalid` naming the option."""
    for option, harmless in SUPPORTED.items():
        value = getattr(asked, option)
        if value is not None and value not in harmless:
            raise _refused(option, f"`{option}` is not supported.", "The agent's own file decides that; leave it out.")
    if not asked.messages or asked.messages[-1].role != "user":
        raise _refused("messages", "The last of `messages` has to be the user's.")
    *before, last = (ChatMessage(_role(one, n), _text(one, n)) for n, one in enumerate(asked.messages))
    return SendMessage(text=last.content, history=tuple(before), images=_images(asked.messages[-1]))


def _role(message: InputMessage, number: int) -> Role:
    known = {"system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}
    if message.role not in known:
        raise _refused(f"messages[{number}].role", f"Messages of role {message.role!r} are not supported.")
    if message.tool_calls or message.function_call:
        raise _refused(f"messages[{number}].tool_calls", "Messages that call tools are not supported.")
    return known[message.role]


def _text(message: InputMessage, number: int) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = []
    for index, part in enumerate(message.content or ()):
        if part.type == "image_url" and part.image_url:
            continue
        if part.type != "text" or part.text is None:
            raise _refused(
                f"messages[{number}].content[{index}]",
                f"Content of type {part.type!r} is not supported, only text and images.",
            )
        texts.append(part.text)
    return "".join(texts)


def _images(message: InputMessage) -> tuple[str, ...]:
    parts = message.content if isinstance(message.content, list) else []
    return tuple(part.image_url.url for part in parts if part.image_url)


def _refused(field: str, message: str, hint: str = "") -> Misfit:
    return Misfit(Code.BODY_INVALID, message, field=field, hint=hint)
