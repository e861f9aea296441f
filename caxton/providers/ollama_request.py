"""What we ask is written down here as Ollama's `/api/chat` has it."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from caxton.domain.completion import ChatMessage, CompletionRequest, Role, ToolChoice
from caxton.providers.openai_request import tools_of

OPTIONS = {"temperature": "temperature", "top_p": "top_p", "seed": "seed", "max_tokens": "num_predict"}
"""Our names of options, and Ollama's."""


def chat_of(
    request: CompletionRequest, *, model: str, defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The body but for `stream`. `defaults` go by our names, `options` are Ollama's own and hold for every request.

    Ollama knows no tool choice: `none` leaves the tools out, `required` is not for us to force.
    """
    chosen = {**defaults}
    chosen.update((name, value) for name in OPTIONS if (value := getattr(request, name)) is not None)
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message, request.messages[:place]) for place, message in enumerate(request.messages)],
        "options": {**options, **{OPTIONS[name]: value for name, value in chosen.items()}},
    }
    if request.stop:
        body["options"]["stop"] = list(request.stop)
    if request.tools and request.tool_choice is not ToolChoice.NONE:
        body["tools"] = tools_of(request.tools)
    if request.response_schema:
        body["format"] = request.response_schema.schema
    return body


def _message(message: ChatMessage, before: Sequence[ChatMessage]) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.images:
        written["images"] = [b64encode(image.data).decode() for image in message.images]
    if message.tool_calls:
        written["tool_calls"] = [
            {"function": {"name": call.name, "arguments": _arguments(call.arguments)}} for call in message.tool_calls
        ]
    if message.role is Role.TOOL and (name := _called(message.tool_call_id, before)):
        written["tool_name"] = name
    return written


def _arguments(written: str) -> dict[str, Any]:
    """The object that Ollama insists on. What a model wrote that is none is shown to it under a name of ours."""
    try:
        value = json.loads(written or "{}")
    except ValueError:
        value = written
    return value if isinstance(value, dict) else {"malformed": value}


def _called(id: str | None, before: Sequence[ChatMessage]) -> str | None:
    """The tool of the call with that id, the last one: Ollama has no ids, and ours begin anew with each answer."""
    calls = (call for message in reversed(before) for call in message.tool_calls)
    return next((call.name for call in calls if call.id == id), None)
