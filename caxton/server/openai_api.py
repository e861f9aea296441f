"""The OpenAI-compatible interface: whatever speaks that protocol can use an agent as a model.

The caller brings the conversation along with every request, as that protocol has it, so nothing is stored. What the
agent's file decides (model, temperature, length) stays decided there; such options are accepted and left unused.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import ServerSettings
from caxton.server.bodies import decode, read_text
from caxton.server.gate import Gate
from caxton.server.misfits import Misfit
from caxton.server.openai_requests import ChatRequest, translate
from caxton.server.paths import path_values
from caxton.server.problems import answering, problem_headers
from caxton.server.sse import event_stream
from caxton.service.api.messages import Reply, ReplyDelta, ReplyEvent, ReplyStarted

STATUSES: Mapping[Code, tuple[int, str]] = {
    Code.AGENT_NOT_FOUND: (404, "model_not_found"),
    Code.BODY_INVALID: (400, "invalid_value"),
    Code.CONTEXT_TOO_LONG: (400, "context_length_exceeded"),
    Code.PROVIDER_RATE_LIMITED: (429, "rate_limit_exceeded"),
    Code.PROVIDER_REFUSED: (400, "content_filter"),
}
"""Where that protocol's clients know an error by a status and a code other than ours."""


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str


class OpenAiError(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the OpenAI API. `code` is Caxton's where OpenAI has none; `param` names the field in question."""

    error: ErrorDetail


def openai_routes(services: Mapping[str, Any], settings: ServerSettings, gate: Gate) -> list[Route]:
    """The routes below /v1."""

    async def models(_: Request) -> Response:
        agents = (await services["agents"].list()).agents
        return _json({"object": "list", "data": [_model(agent.name, agent.id) for agent in agents]})

    async def model(request: Request) -> Response:
        agent = await services["agents"].show(name=path_values(request)["model"])
        return _json(_model(agent.name, agent.id))

    async def chat(request: Request) -> Response:
        asked = decode(await read_text(request, settings.max_body_bytes), ChatRequest)
        message = translate(asked)
        gate.check()
        if asked.stream:
            return await _stream(request, services["messages"].stream(name=asked.model, body=message), asked)
        return _json(_completion(await services["messages"].send(name=asked.model, body=message)))

    return [
        Route("/v1/models", answering(models, openai_error)),
        Route("/v1/models/{model}", answering(model, openai_error)),
        Route("/v1/chat/completions", answering(chat, openai_error), methods=["POST"]),
    ]


def _model(name: str, agent_id: str) -> dict[str, Any]:
    # An agent's id is a UUIDv7, whose first 48 bits are the milliseconds of its making (RFC 9562 §5.7).
    made = (UUID(agent_id).int >> 80) // 1000
    return {"id": name, "object": "model", "created": made, "owned_by": "caxton"}


def _completion(reply: Reply) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text, "refusal": None},
        "finish_reason": reply.finish_reason,
        "logprobs": None,
    }
    return {
        "id": f"chatcmpl-{reply.in_reply_to}",
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


async def _stream(request: Request, events: AsyncGenerator[ReplyEvent], asked: ChatRequest) -> Response:
    head = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": asked.model}
    with_usage = asked.stream_options is not None and asked.stream_options.include_usage
    if with_usage:
        head["usage"] = None
    told = False

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    def encode(event: ReplyEvent) -> bytes:
        nonlocal told
        if isinstance(event, ReplyDelta):
            told = True
            return chunk({"content": event.text})
        if isinstance(event, Reply):
            # A provider that does not stream has told nothing so far.
            whole = b"" if told else chunk({"content": event.text})
            last = whole + chunk({}, event.finish_reason)
            return last + _data({**head, "choices": [], "usage": _usage(event)}) if with_usage else last
        if isinstance(event, ReplyStarted):
            head["id"] = f"chatcmpl-{event.in_reply_to}"
            return chunk({"role": "assistant", "content": ""})
        return b": the agent uses a tool\n\n"

    return await event_stream(request, events, encode, lambda error: _data(_worded(error)), b"data: [DONE]\n\n")


def _data(value: object) -> bytes:
    return b"data: %s\n\n" % msgspec.json.encode(value)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _worded(error: CaxtonError) -> OpenAiError:
    status, code = STATUSES.get(error.code, (error.info.http, error.code.value))
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    words = " ".join(part for part in (error.message, error.why, error.hint) if part)
    param = error.field or None if isinstance(error, Misfit) else None
    return OpenAiError(error=ErrorDetail(message=words, type=kind, param=param, code=code))


def openai_error(error: CaxtonError) -> Response:
    """The error as the protocol's clients know it."""
    return Response(
        msgspec.json.encode(_worded(error)),
        status_code=STATUSES.get(error.code, (error.info.http,))[0],
        media_type="application/json",
        headers=problem_headers(error),
    )


def _path(summary: str, operation_id: str, **more: Any) -> dict[str, Any]:
    def answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": description, "content": {"application/json": {"schema": schema}}}

    responses = {
        "200": answer("In the shapes of the OpenAI API.", {"type": "object"}),
        "default": answer("An error, as the OpenAI API words it.", {"$ref": "#/components/schemas/OpenAiError"}),
    }
    return {"operationId": operation_id, "summary": summary, "tags": ["openai"], "responses": responses, **more}


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
            requestBody={
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
            },
        )
    },
}
"""What the OpenAPI document says of these routes; the shapes of their answers are OpenAI's to define."""
