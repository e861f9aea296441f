"""One service of the long tail that does not speak the OpenAI protocol, to see that LiteLLM translates for us.

The endpoint is a double of Anthropic's Messages API as documented (https://docs.anthropic.com/en/api/messages): the
service itself cannot be reached from here.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.completion import Completion, Delta, FinishReason, ToolCall, ToolSpec, Usage
from caxton.domain.errors import Code
from caxton.domain.settings import ProviderSettings
from caxton.providers.litellm import LiteLLMProvider
from caxton.providers.litellm_wire import load_litellm
from caxton.testing.http_double import HttpDouble, Scene, answers, as_json, open_http_double, reset

KEY = "sk-Planted0Key1That2Nobody3May4See"
MODEL = "claude-sonnet-4-5"
LOOK = ToolSpec(
    name="look", description="Look.", parameters={"type": "object", "properties": {"at": {"type": "string"}}}
)
MESSAGE: dict[str, Any] = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "tu_1", "name": "look", "input": {"at": "it"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 7, "output_tokens": 4},
}
MEANT = Completion(
    text="Let me see.",
    model=MODEL,
    finish_reason=FinishReason.TOOL_CALLS,
    usage=Usage(prompt_tokens=7, completion_tokens=4),
    tool_calls=(ToolCall(id="tu_1", name="look", arguments='{"at": "it"}'),),
)


def streams(*events: dict[str, Any]) -> Scene:
    written = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)
    return answers(b"".join(written), "text/event-stream")


def delta(place: int, **fields: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": place, "delta": fields}


BEGUN = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    delta(0, type="text_delta", text="Let me "),
    delta(0, type="text_delta", text="see."),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {**MESSAGE["content"][1], "input": {}}},
    delta(1, type="input_json_delta", partial_json='{"at"'),
    delta(1, type="input_json_delta", partial_json=': "it"}'),
    {"type": "content_block_stop", "index": 1},
]
ENDED = [
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]


def fails(status: int, kind: str, message: str, **headers: str) -> Scene:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    body = as_json({"type": "error", "error": {"type": kind, "message": message}})
    return lambda exchange: exchange.answer(status, body, told)


@pytest.fixture
async def endpoint() -> AsyncIterator[HttpDouble]:
    async with open_http_double(answers(as_json(MESSAGE))) as endpoint:
        yield endpoint


@pytest.fixture
async def provider(endpoint: HttpDouble) -> AsyncIterator[LiteLLMProvider]:
    load_litellm()
    settings = ProviderSettings(
        name="remote", kind="litellm", model=f"anthropic/{MODEL}", base_url=endpoint.url, api_key_env="KEY"
    )
    provider = LiteLLMProvider(settings, environ={"KEY": KEY}, data_dir=Path())
    yield provider
    await provider.aclose()


def question(**fields: Any) -> Any:
    return asks(seed=None, tools=(LOOK,), **fields)


async def test_a_question_is_put_in_the_services_words_and_its_answer_in_ours(provider, endpoint):
    assert await answer(provider, question()) == MEANT
    (asked,) = endpoint.asked
    assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", KEY)
    assert asked.body["model"] == MODEL
    assert asked.body["max_tokens"] == 8
    assert asked.body["system"][0]["text"] == "You are brief."
    assert asked.body["tools"][0]["input_schema"] == LOOK.parameters


async def test_fragments_of_a_call_are_put_together(provider, endpoint):
    endpoint.then(streams(*BEGUN, *ENDED))
    assert await pieces_of(provider, question()) == [Delta("Let me "), Delta("see."), MEANT]


@pytest.mark.parametrize(
    ("scene", "code", "after"),
    [
        (fails(401, "authentication_error", f"invalid x-api-key {KEY}"), Code.PROVIDER_AUTHENTICATION, None),
        (fails(429, "rate_limit_error", "slow down", retry_after="7"), Code.PROVIDER_RATE_LIMITED, 7.0),
        (fails(400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"), Code.CONTEXT_TOO_LONG, None),
        (fails(400, "invalid_request_error", "no"), Code.PROVIDER_REJECTED, None),
        (fails(404, "not_found_error", "model: x"), Code.PROVIDER_REJECTED, None),
        (fails(500, "api_error", "oh", retry_after="7"), Code.PROVIDER_UNAVAILABLE, 7.0),
        (fails(529, "overloaded_error", "Overloaded"), Code.PROVIDER_UNAVAILABLE, None),
        (reset, Code.PROVIDER_UNAVAILABLE, None),
        (answers(b"<html>"), Code.PROVIDER_MALFORMED, None),
        (answers(b"{}"), Code.PROVIDER_MALFORMED, None),
    ],
)
async def test_its_errors_are_ours_and_the_next_request_works(provider, endpoint, scene, code, after):
    for work in answer, pieces_of:
        endpoint.then(scene)
        failed = await failure(work(provider, question()))
        assert (failed.code, failed.retry_after) == (code, after)
        assert KEY not in failed.why
        assert "Traceback" not in failed.why
    assert await answer(provider, question()) == MEANT


async def test_a_stream_that_breaks_off_is_no_answer(provider, endpoint):
    endpoint.then(streams(*BEGUN))
    assert (await failure(pieces_of(provider, question()))).code is Code.PROVIDER_MALFORMED
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    endpoint.then(streams(*BEGUN, error))
    assert (await failure(pieces_of(provider, question()))).code is Code.PROVIDER_UNAVAILABLE
