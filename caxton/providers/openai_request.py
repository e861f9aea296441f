"""What we ask is written down here as the OpenAI chat completions protocol has it."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from caxton.domain.completion import ChatMessage, CompletionRequest, Image, ToolChoice, ToolSpec
from caxton.domain.settings import ProviderSettings

OPTIONS = ("temperature", "top_p", "seed")


def defaults_of(settings: ProviderSettings) -> dict[str, Any]:
    """The options that the settings give to requests that do not choose themselves."""
    given = {name: getattr(settings, name) for name in ("temperature", "top_p", "max_tokens")}
    return {name: value for name, value in given.items() if value is not None}


def messages_of(messages: Iterable[ChatMessage]) -> list[Any]:
    return [_message(message) for message in messages]


def options_of(request: CompletionRequest, *, defaults: Mapping[str, Any], max_tokens: str) -> dict[str, Any]:
    """All of a request but model and messages. `max_tokens` is the name that the endpoint has for that option."""
    options = {**defaults}
    options.update((name, value) for name in OPTIONS if (value := getattr(request, name)) is not None)
    limit = request.max_tokens if request.max_tokens is not None else options.pop("max_tokens", None)
    if limit is not None:
        options[max_tokens] = limit
    if request.stop:
        options["stop"] = list(request.stop)
    if request.tools:
        options["tools"] = tools_of(request.tools)
        if request.tool_choice is not ToolChoice.AUTO:
            options["tool_choice"] = request.tool_choice.value
    if request.response_schema:
        options["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": request.response_schema.name,
                "schema": request.response_schema.schema,
                "strict": True,
            },
        }
    return options


def tools_of(tools: Iterable[ToolSpec]) -> list[Any]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def _message(message: ChatMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.images:
        shown = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in message.images]
        written["content"] = [{"type": "text", "text": message.content}, *shown]
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written["tool_call_id"] = message.tool_call_id
    return written


def data_url(image: Image) -> str:
    return f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
