"""The OpenAI-compatible interface, through the public `openai` client and by hand."""

import asyncio
from types import SimpleNamespace

import msgspec
import openai
import pytest
from support.http import EVENTS, REPLY, say

from caxton.domain.completion import ChatMessage, FinishReason, Role
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.service.api.messages import ReplyStarted, SendMessage

CHAT = "/v1/chat/completions"
ASK = [{"role": "user", "content": "Hello"}]
AGENTS = [
    SimpleNamespace(name="my-agent", id="0193b5c4-7a00-7000-8000-000000000001"),
    SimpleNamespace(name="other-agent", id="0193b5c4-7a00-7001-8000-000000000001"),
]
MADE = 0x0193B5C47A00 // 1000


@pytest.fixture
async def client(wire):
    async with openai.AsyncOpenAI(base_url=f"{wire.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


async def test_agents_are_listed_as_models(client, agents):
    agents.answers["list"] = SimpleNamespace(agents=AGENTS)
    models = [model async for model in await client.models.list()]
    assert [(model.id, model.object, model.created) for model in models] == [
        ("my-agent", "model", MADE),
        ("other-agent", "model", MADE),
    ]


async def test_one_agent_is_a_model(client, agents):
    agents.answers["show"] = AGENTS[0]
    model = await client.models.retrieve("my-agent")
    assert (model.id, model.created) == ("my-agent", MADE)
    assert agents.last == {"name": "my-agent"}


async def test_an_agent_that_is_not_there_is_a_model_not_found(client, agents, messages):
    agents.answers["show"] = messages.answers["send"] = CaxtonError(Code.AGENT_NOT_FOUND, "There is no agent 'x'.")
    with pytest.raises(openai.NotFoundError) as retrieved:
        await client.models.retrieve("x")
    with pytest.raises(openai.NotFoundError) as asked:
        await client.chat.completions.create(model="x", messages=ASK)
    for raised in (retrieved, asked):
        assert raised.value.code == "model_not_found"
        assert "no agent 'x'" in raised.value.message


async def test_a_completion_is_the_agents_reply(client, messages):
    answer = await client.chat.completions.create(model="my-agent", messages=ASK, temperature=0.1, user="ada")
    assert messages.calls == [("send", {"name": "my-agent", "body": SendMessage(text="Hello", history=())})]
    assert answer.model == "my-agent"
    assert answer.id == f"chatcmpl-{REPLY.in_reply_to}"
    assert answer.created == int(REPLY.created_at)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", REPLY.text, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 2, 9)


def test_the_synchronous_client_works_as_well(messages, wire_in_thread):
    with openai.OpenAI(base_url=f"{wire_in_thread.url}/v1", api_key="unused", max_retries=0) as client:
        answer = client.chat.completions.create(model="my-agent", messages=ASK)
        assert answer.choices[0].message.content == REPLY.text
        with client.chat.completions.create(model="my-agent", messages=ASK, stream=True) as stream:
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == REPLY.text


async def test_the_conversation_goes_along_as_history(client, messages):
    await client.chat.completions.create(
        model="my-agent",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "My name "}, {"type": "text", "text": "is Ada."}]},
            {"role": "assistant", "content": "Hello Ada", "refusal": None},
            {"role": "user", "content": "Who am I?", "name": "ada"},
        ],
    )
    assert messages.last["body"] == SendMessage(
        text="Who am I?",
        history=(
            ChatMessage(Role.SYSTEM, "Be brief."),
            ChatMessage(Role.SYSTEM, "Be kind."),
            ChatMessage(Role.USER, "My name is Ada."),
            ChatMessage(Role.ASSISTANT, "Hello Ada"),
        ),
    )


async def test_a_reply_given_back_whole_is_taken_as_history(client, messages):
    first = await client.chat.completions.create(model="my-agent", messages=ASK)
    again = [*ASK, first.choices[0].message.model_dump(), *ASK]
    await client.chat.completions.create(model="my-agent", messages=again)
    assert messages.last["body"].history == (ChatMessage(Role.USER, "Hello"), ChatMessage(Role.ASSISTANT, REPLY.text))


@pytest.mark.parametrize("reason", list(FinishReason))
async def test_the_reason_for_the_end_is_passed_on(client, messages, reason):
    messages.answers["send"] = reply = msgspec.structs.replace(REPLY, finish_reason=reason, usage=None)
    answer = await client.chat.completions.create(model="my-agent", messages=ASK)
    assert answer.choices[0].finish_reason == reason.value
    assert answer.usage is None
    messages.streamed = lambda: say(*EVENTS[:-1], reply)
    chunks = [c async for c in await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)]
    assert chunks[-1].choices[0].finish_reason == reason.value


async def test_a_streamed_completion_comes_in_chunks(client):
    stream = await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)
    chunks = [chunk async for chunk in stream]
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{REPLY.in_reply_to}"}
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hello", " there", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)


async def test_the_usage_comes_last_where_it_is_asked_for(client):
    stream = await client.chat.completions.create(
        model="my-agent", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    *others, last = [chunk async for chunk in stream]
    assert last.choices == []
    assert last.usage.total_tokens == 9
    assert all(chunk.usage is None and chunk.choices for chunk in others)


async def test_a_reply_that_came_in_one_piece_is_streamed_all_the_same(client, messages):
    messages.streamed = lambda: say(EVENTS[0], REPLY)
    stream = await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == REPLY.text


def test_a_stream_ends_with_the_word_that_the_protocol_has_for_it(http):
    answer = http.post(CHAT, json={"model": "my-agent", "messages": ASK, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")


async def test_an_error_before_the_stream_is_an_ordinary_one(client, messages):
    messages.streamed = lambda: say(CaxtonError(Code.AGENT_NOT_RUNNING, "Agent 'my-agent' is stopped."))
    with pytest.raises(openai.InternalServerError) as raised:
        await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)
    assert raised.value.status_code == 503
    assert raised.value.code == "agent_not_running"


async def test_an_error_in_the_stream_reaches_the_client(client, messages):
    messages.streamed = lambda: say(*EVENTS[:2], ProviderError(Code.PROVIDER_TIMEOUT, "No answer within 60 s."))
    stream = await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)
    with pytest.raises(openai.APIError, match="No answer within 60 s"):
        _ = [chunk async for chunk in stream]


async def test_a_client_that_leaves_a_stream_closes_it(client, messages):
    closed = asyncio.Event()

    async def endless():
        try:
            yield ReplyStarted(in_reply_to="some-id", agent="my-agent", conversation_id="c")
            await asyncio.Event().wait()
        finally:
            closed.set()

    messages.streamed = endless
    stream = await client.chat.completions.create(model="my-agent", messages=ASK, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await asyncio.wait_for(closed.wait(), 10)


async def test_a_limited_rate_is_known_to_the_client(client, messages):
    messages.answers["send"] = ProviderError(Code.PROVIDER_RATE_LIMITED, "Slow down.", retry_after=3)
    with pytest.raises(openai.RateLimitError) as raised:
        await client.chat.completions.create(model="my-agent", messages=ASK)
    assert raised.value.response.headers["retry-after"] == "3"


async def test_a_context_too_long_is_known_by_the_protocols_code(client, messages):
    messages.answers["send"] = CaxtonError(Code.CONTEXT_TOO_LONG, "It takes 9000 tokens of 2048.")
    with pytest.raises(openai.BadRequestError) as raised:
        await client.chat.completions.create(model="my-agent", messages=ASK)
    assert raised.value.code == "context_length_exceeded"


REFUSED = [
    ("tools", [{"type": "function", "function": {"name": "f"}}], "tools"),
    ("functions", [{"name": "f"}], "functions"),
    ("tool_choice", "required", "tool_choice"),
    ("n", 2, "n"),
    ("response_format", {"type": "json_object"}, "response_format"),
    ("logprobs", True, "logprobs"),
    ("top_logprobs", 3, "top_logprobs"),
    ("logit_bias", {"50256": -100}, "logit_bias"),
    ("stop", ["\n"], "stop"),
    ("modalities", ["text", "audio"], "modalities"),
    ("audio", {"voice": "alloy"}, "audio"),
    ("prediction", {"type": "content", "content": "x"}, "prediction"),
    ("web_search_options", {}, "web_search_options"),
    ("unheard_of", 1, "unheard_of"),
    ("messages", [], "messages"),
    ("messages", [*ASK, {"role": "assistant", "content": "Hm"}], "messages"),
    ("messages", [{"role": "tool", "content": "5", "tool_call_id": "1"}, *ASK], "messages[0].role"),
    ("messages", [{"role": "assistant", "tool_calls": [{"id": "1"}]}, *ASK], "messages[0].tool_calls"),
    (
        "messages",
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}],
        "messages[0].content[0]",
    ),
    ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
    ("messages", [{"content": "Hello"}], "messages[0].role"),
    ("model", 5, "model"),
    ("stream", "yes", "stream"),
]


@pytest.mark.parametrize(("option", "value", "param"), REFUSED)
def test_what_would_change_the_answer_is_refused_by_name(http, messages, option, value, param):
    answer = http.post(CHAT, json={"model": "my-agent", "messages": ASK, option: value})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert not messages.calls


HARMLESS = {
    "temperature": 0.2,
    "top_p": 0.9,
    "max_tokens": 100,
    "max_completion_tokens": 100,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "seed": 1,
    "user": "ada",
    "metadata": {"a": "b"},
    "store": False,
    "n": 1,
    "tools": [],
    "tool_choice": "auto",
    "logprobs": False,
    "response_format": {"type": "text"},
    "stop": None,
    "stream": None,
    "stream_options": None,
    "reasoning_effort": "low",
    "parallel_tool_calls": True,
    "modalities": ["text"],
    "logit_bias": {},
}


@pytest.mark.parametrize("option", HARMLESS)
def test_what_changes_nothing_is_taken(http, option):
    answer = http.post(CHAT, json={"model": "my-agent", "messages": ASK, option: HARMLESS[option]})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/completions", None, 404, "not_found"),
        ("GET", "/v1/chat/completions", None, 405, "method_not_allowed"),
        ("POST", CHAT, b"{", 400, "body_malformed"),
        ("POST", CHAT, b"", 400, "invalid_value"),
        ("POST", CHAT, b"[]", 400, "invalid_value"),
        ("POST", CHAT, b"{}", 400, "invalid_value"),
        ("POST", CHAT, b"x" * 5000, 413, "body_too_large"),
    ],
)
def test_every_error_below_v1_has_the_shape_of_the_protocol(http, method, path, body, status, code):
    answer = http.request(method, path, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_crash_has_the_shape_of_the_protocol_and_no_insides(http, messages, caplog):
    messages.answers["send"] = RuntimeError("secret inside")
    answer = http.post(CHAT, json={"model": "my-agent", "messages": ASK})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
