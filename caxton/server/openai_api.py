"""The OpenAI-compatible interface: whatever speaks that protocol can use an agent as a model.

The caller brings the conversation along with every request, as that protocol has it, so nothing is stored. What the
agent's file decides (model, temperature, length) stays decided there; such options are accepted and left unused.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from caxton.domain.completion import ChatMessage, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import ServerSettings
from caxton.server.bodies import decode, read_text
from caxton.server.problems import problem_headers
from caxton.server.sse import event_stream
from caxton.service.api.messages import Reply, ReplyDelta, ReplyEvent, SendMessage

UNSUPPORTED = ("tools", "tool_choice", "functions", "function_call", "response_format", "logprobs", "audio")
"""Options that would change what the answer is; refused rather than ignored."""


class TextPart(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None


class InputMessage(msgspec.Struct, frozen=True):
    role: str
    content: str | list[TextPart] | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    model: str
    messages: list[InputMessage]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: int | None = None
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    response_format: Any = None
    logprobs: Any = None
    audio: Any = None


def openai_routes(services: Mapping[str, Any], settings: ServerSettings) -> list[Route]:
    """The routes below /v1."""

    async def models(_: Request) -> Response:
        agents = (await services["agents"].list()).agents
        return _json({"object": "list", "data": [_model(agent.name) for agent in agents]})

    async def model(request: Request) -> Response:
        try:
            agent = await services["agents"].show(name=request.path_params["model"])
        except CaxtonError as error:
            return _error(error)
        return _json(_model(agent.name, int(agent.created_at)))

    async def chat(request: Request) -> Response:
        try:
            asked = decode(await read_text(request, settings.max_body_bytes), ChatRequest)
            message = _translate(asked)
            if asked.stream:
                events = services["messages"].stream(name=asked.model, body=message)
                return await _stream(events, asked)
            return _json(_completion(await services["messages"].send(name=asked.model, body=message)))
        except CaxtonError as error:
            return _error(error)

    return [
        Route("/v1/models", models),
        Route("/v1/models/{model}", model),
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ]


def _translate(asked: ChatRequest) -> SendMessage:
    """The last message as the agent's, those before it as the history."""
    for option in UNSUPPORTED:
        if getattr(asked, option) not in (None, [], False, {"type": "text"}):
            raise CaxtonError(
                Code.BODY_INVALID, f"The option {option!r} is not supported.", hint="The agent's own file decides that."
            )
    if asked.n not in (None, 1):
        raise CaxtonError(Code.BODY_INVALID, f"`n` has to be 1, not {asked.n}.")
    if not asked.messages or asked.messages[-1].role != "user":
        raise CaxtonError(Code.BODY_INVALID, "The last of `messages` has to be the user's.")
    *before, last = (ChatMessage(_role(message.role), _text(message)) for message in asked.messages)
    return SendMessage(text=last.content, history=tuple(before))


def _role(role: str) -> Role:
    known = {"system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}
    if role not in known:
        raise CaxtonError(Code.BODY_INVALID, f"Messages of role {role!r} are not supported.")
    return known[role]


def _text(message: InputMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    for part in message.content or ():
        if part.type != "text":
            raise CaxtonError(Code.BODY_INVALID, f"Content of type {part.type!r} is not supported.")
    return "".join(part.text or "" for part in message.content or ())


def _model(name: str, created: int = 0) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "caxton"}


def _completion(reply: Reply) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish_reason,
        "logprobs": None,
    }
    return {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": int(reply.created_at),
        "model": reply.agent,
        "choices": [choice],
        "usage": _usage(reply),
    }


def _usage(reply: Reply) -> dict[str, int] | None:
    if reply.usage is None:
        return None
    prompt, completion = reply.usage.prompt_tokens, reply.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _stream(events: AsyncGenerator[ReplyEvent], asked: ChatRequest) -> Response:
    head = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": asked.model}
    with_usage = bool((asked.stream_options or {}).get("include_usage"))

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def encode(event: ReplyEvent) -> bytes:
        if isinstance(event, ReplyDelta):
            return chunk({"content": event.text})
        if isinstance(event, Reply):
            last = chunk({}, event.finish_reason)
            return last + _data({**head, "choices": [], "usage": _usage(event)}) if with_usage else last
        head["id"] = f"chatcmpl-{event.in_reply_to}"
        return chunk({"role": "assistant", "content": ""})

    return await event_stream(events, encode, lambda error: _data(_error_body(error)), b"data: [DONE]\n\n")


def _data(value: object) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(value)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _error_body(error: CaxtonError) -> dict[str, Any]:
    kind = "invalid_request_error" if error.info.http < 500 else "server_error"
    words = " ".join(part for part in (error.message, error.why, error.hint) if part)
    return {"error": {"message": words, "type": kind, "param": None, "code": error.code}}


def _error(error: CaxtonError) -> Response:
    return Response(
        msgspec.json.encode(_error_body(error)),
        status_code=error.info.http,
        media_type="application/json",
        headers=problem_headers(error),
    )


def _path(summary: str, operation_id: str, **more: Any) -> dict[str, Any]:
    answer = {
        "description": "In the shapes of the OpenAI API.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
    return {"operationId": operation_id, "summary": summary, "tags": ["openai"], "responses": {"200": answer}, **more}


OPENAI_PATHS: dict[str, Any] = {
    "/v1/models": {"get": _path("The agents, as models of the OpenAI API", "openai.models")},
    "/v1/models/{model}": {
        "get": _path(
            "One agent, as a model of the OpenAI API",
            "openai.model",
            parameters=[{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
        )
    },
    "/v1/chat/completions": {
        "post": _path(
            "Chat with an agent through the OpenAI API, streamed or not; the agent is the `model`",
            "openai.chat",
            requestBody={"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        )
    },
}
"""What the OpenAPI document says of these routes; their shapes are OpenAI's to define."""
