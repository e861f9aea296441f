"""Ollama's own abilities: what it tells of models, fetching them, its options, and tools beyond what it has words for.

Its server is in none of the package registries, so that all of this is held against a double of its documented API.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.completion import (
    ChatMessage,
    Completion,
    Delta,
    FinishReason,
    Image,
    ModelInfo,
    PullProgress,
    ResponseSchema,
    Role,
    ToolCall,
    ToolChoice,
    ToolSpec,
    Usage,
)
from caxton.domain.errors import Code
from caxton.domain.ports.provider import CountsTokens, ListsModels, Pulls
from caxton.domain.settings import ProviderSettings
from caxton.providers.ollama import OllamaProvider
from caxton.testing.http_double import HttpDouble, open_http_double, stall
from caxton.testing.ollama_server import LAYER, MODEL, calls, fails, last, lines, open_ollama_server, piece, pulls, says

KEY = "sk-Planted0Key1That2Nobody3May4See"
LOOK = ToolSpec(
    name="look",
    description="Look.",
    parameters={
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/thing"}, "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        "$defs": {"thing": {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}}},
    },
)
SCHEMA = ResponseSchema(schema={"type": "object", "properties": {"n": {"type": "integer"}}})


@pytest.fixture
async def endpoint() -> AsyncIterator[HttpDouble]:
    async with open_ollama_server() as endpoint:
        yield endpoint


@pytest.fixture
async def made() -> AsyncIterator:
    """Makes providers for a URL, closed at the end of the test."""
    providers: list[OllamaProvider] = []

    def make(url: str | None, environ: dict[str, str] | None = None, **settings) -> OllamaProvider:
        asked = ProviderSettings(name="remote", kind="ollama", base_url=url, **settings)
        providers.append(OllamaProvider(asked, environ=environ or {}, data_dir=Path()))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.aclose()


@pytest.fixture
def provider(made, endpoint) -> OllamaProvider:
    return made(endpoint.url)


def told(endpoint: HttpDouble) -> dict:
    """The body of the last question."""
    return [one for one in endpoint.asked if one.path == "/api/chat"][-1].body


async def pulled(provider: OllamaProvider, model: str = "new") -> list[PullProgress]:
    async with asyncio.timeout(10), aclosing(provider.pull(model)) as reports:
        return [report async for report in reports]


def test_it_lists_and_fetches_models_and_counts_no_tokens(provider):
    assert isinstance(provider, ListsModels)
    assert isinstance(provider, Pulls)
    assert not isinstance(provider, CountsTokens)


async def test_what_models_can_do_is_asked_of_it_and_those_that_do_not_talk_are_left_out(provider):
    assert await provider.models() == [
        ModelInfo(name=MODEL, context_length=8192, tools=True, vision=True, json_schema=True),
        ModelInfo(name="plain:latest", context_length=1024, tools=False, vision=False, json_schema=True),
    ]


async def test_a_model_is_described_once_it_was_asked_for(provider):
    assert provider.describe("plain:latest") == ModelInfo(name="plain:latest")
    await answer(provider, asks(model="plain:latest"))
    assert provider.describe("plain:latest").tools is False


async def test_the_settings_know_better(made, endpoint):
    provider = made(endpoint.url, model=MODEL, context_length=2048, tools=False, vision=False, json_schema=False)
    before = provider.describe(None)
    await answer(provider, asks())
    assert provider.describe(None) == before
    assert before == ModelInfo(name=MODEL, context_length=2048, tools=False, vision=False, json_schema=False)


async def test_a_model_is_looked_up_once(provider, endpoint):
    for _ in range(3):
        await answer(provider, asks(model="plain:latest"))
    assert [one.path for one in endpoint.asked] == ["/api/show", "/api/chat", "/api/chat", "/api/chat"]


async def test_without_a_choice_the_newest_model_that_talks_answers(provider, endpoint):
    await answer(provider, asks())
    await answer(provider, asks())
    assert told(endpoint)["model"] == MODEL
    assert provider.describe(None).name == MODEL
    assert [one.path for one in endpoint.asked].count("/api/tags") == 1


async def test_without_any_model_it_is_told_how_to_get_one(made):
    async def empty(exchange):
        await exchange.answer(200, b'{"models": []}')

    async with open_http_double(empty) as endpoint:
        provider = made(endpoint.url)
        failed = await failure(answer(provider, asks()))
        assert failed.code is Code.PROVIDER_REJECTED
        assert "caxton provider pull remote" in failed.hint
        assert await provider.models() == []


async def test_what_does_not_fit_is_not_left_to_its_own_context_length(made, endpoint):
    """Ollama cuts off the beginning without a word, so that the length has to be the one we count with."""
    for settings, length in ({}, 8192), ({"context_length": 4096}, 4096):
        provider = made(endpoint.url, model=MODEL, **settings)
        await answer(provider, asks())
        assert told(endpoint)["options"]["num_ctx"] == provider.describe(None).context_length == length


async def test_options_go_by_its_names(made, endpoint):
    provider = made(endpoint.url, keep_alive=90.0, gpu_layers=0, top_p=0.5, max_tokens=99, temperature=1.0)
    await answer(provider, asks(temperature=0.0, seed=1, max_tokens=8, stop=("a",)))
    body = told(endpoint)
    assert body["keep_alive"] == 90.0
    assert body["options"] == {
        "num_ctx": 8192,
        "num_gpu": 0,
        "num_predict": 8,
        "seed": 1,
        "stop": ["a"],
        "temperature": 0.0,
        "top_p": 0.5,
    }


async def test_what_was_not_chosen_is_not_said(provider, endpoint):
    await answer(provider, asks(temperature=None, seed=None, max_tokens=None))
    assert told(endpoint)["options"] == {"num_ctx": 8192}
    assert not told(endpoint).keys() & {"keep_alive", "format", "tools"}


async def test_nothing_of_a_tools_schema_is_lost(provider, endpoint):
    await answer(provider, asks(tools=(LOOK,)))
    function = {"name": "look", "description": "Look.", "parameters": LOOK.parameters}
    assert told(endpoint)["tools"] == [{"type": "function", "function": function}]


async def test_arguments_that_are_no_object_are_shown_to_the_model_as_they_are(provider, endpoint):
    made = [ToolCall(id=f"c{n}", name="look", arguments=text) for n, text in enumerate(['{"at', "", "[1]", '{"a": 1}'])]
    request = asks()
    messages = (*request.messages, ChatMessage(Role.ASSISTANT, "", tool_calls=tuple(made)))
    await answer(provider, msgspec.structs.replace(request, messages=messages))
    sent = [call["function"]["arguments"] for call in told(endpoint)["messages"][-1]["tool_calls"]]
    assert sent == [{"malformed": '{"at'}, {}, {"malformed": [1]}, {"a": 1}]


async def test_a_result_names_the_tool_of_the_last_call_with_its_id(provider, endpoint):
    """Ids begin anew with every answer, since Ollama has none."""
    first = ToolCall(id="call_0", name="look", arguments="{}")
    second = ToolCall(id="call_0", name="wait", arguments="{}")
    messages = (
        *asks().messages,
        ChatMessage(Role.ASSISTANT, "", tool_calls=(first,)),
        ChatMessage(Role.TOOL, "seen", tool_call_id="call_0"),
        ChatMessage(Role.ASSISTANT, "", tool_calls=(second,)),
        ChatMessage(Role.TOOL, "waited", tool_call_id="call_0"),
        ChatMessage(Role.TOOL, "whose?", tool_call_id="call_7"),
    )
    await answer(provider, msgspec.structs.replace(asks(), messages=messages))
    results = [message for message in told(endpoint)["messages"] if message["role"] == "tool"]
    assert [result.get("tool_name") for result in results] == ["look", "wait", None]


@pytest.mark.parametrize(
    "fields", [{"tool_choice": ToolChoice.REQUIRED}, {"response_schema": SCHEMA}], ids=["must", "schema"]
)
async def test_what_it_has_no_words_for_is_done_by_constrained_decoding(provider, endpoint, fields):
    written = '{"tool": "look", "arguments": {"at": {"name": "it"}}}'
    endpoint.then(says(written), says(written))
    request = asks(tools=(LOOK,), **fields)
    for completion in await answer(provider, request), (await pieces_of(provider, request))[-1]:
        (call,) = completion.tool_calls
        assert (call.name, json.loads(call.arguments)) == ("look", {"at": {"name": "it"}})
        assert completion.finish_reason is FinishReason.TOOL_CALLS
        assert "tools" not in told(endpoint)
        assert told(endpoint)["format"]["oneOf"][0]["properties"]["arguments"] == LOOK.parameters


async def test_a_constrained_reply_streams_as_text(provider, endpoint):
    endpoint.then(says('{"reply": {"n": 1}}'))
    *deltas, completion = await pieces_of(provider, asks(tools=(LOOK,), response_schema=SCHEMA))
    assert completion.text == "".join(delta.text for delta in deltas) == '{"n": 1}'


async def test_a_model_that_cannot_is_not_asked(provider, endpoint):
    image = ChatMessage(Role.USER, "What is this?", images=(Image(media_type="image/png", data=b"x"),))
    for request, words in [
        (asks(model="plain:latest", tools=(LOOK,)), "call tools"),
        (msgspec.structs.replace(asks(model="plain:latest"), messages=(image,)), "look at images"),
    ]:
        for work in answer, pieces_of:
            failed = await failure(work(provider, request))
            assert failed.code is Code.MODEL_INCAPABLE
            assert words in failed.message
            assert "caxton provider models remote" in failed.hint
    assert not any(one.path == "/api/chat" for one in endpoint.asked)


@pytest.mark.parametrize(("said", "meant"), [("stop", FinishReason.STOP), ("length", FinishReason.LENGTH)])
async def test_why_it_stopped_is_told(provider, endpoint, said, meant):
    endpoint.then(says("so", finish=said), says("so", finish=said))
    assert (await answer(provider, asks())).finish_reason is meant
    assert (await pieces_of(provider, asks()))[-1].finish_reason is meant


async def test_what_the_model_thinks_is_no_part_of_its_answer(provider, endpoint):
    endpoint.then(lines(piece({"content": "", "thinking": "Hmm."}), piece({"content": "So."}), last()))
    assert await pieces_of(provider, asks()) == [
        Delta("So."),
        Completion(text="So.", model=MODEL, usage=Usage(prompt_tokens=7, completion_tokens=4)),
    ]


async def test_usage_that_is_not_told_in_full_is_unknown(provider, endpoint):
    endpoint.then(lines(piece({"content": "So."}), {**last(), "prompt_eval_count": None}))
    assert (await pieces_of(provider, asks()))[-1].usage is None


async def test_a_pull_tells_how_far_it_is(provider, endpoint):
    endpoint.then(pulls(300))
    reports = await pulled(provider)
    assert (reports[0].status, reports[-1].status) == ("pulling manifest", "success")
    assert [(one.completed, one.total) for one in reports if one.status == LAYER] == [(0, 300), (100, 300), (300, 300)]
    assert endpoint.asked[-1].body["model"] == "new"


async def test_a_pulled_model_is_looked_up_anew(provider, endpoint):
    await answer(provider, asks(model="plain:latest"))
    endpoint.then(pulls())
    await pulled(provider, "plain:latest")
    await answer(provider, asks(model="plain:latest"))
    assert [one.path for one in endpoint.asked].count("/api/show") == 2


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        (lines({"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}), "rejected"),
        (lines({"error": 'Get "https://x/": dial tcp: lookup x: no such host'}), "unavailable"),
        (fails(400, "invalid model name"), "rejected"),
        (fails(500), "unavailable"),
        (pulls(then=lambda exchange: exchange.part(b"not json\n")), "malformed"),
        (lines({"status": "pulling manifest"}), "malformed"),
        (lines([1]), "malformed"),
    ],
)
async def test_a_pull_that_fails_says_why_and_the_next_works(provider, endpoint, scene, code):
    endpoint.then(scene)
    failed = await failure(pulled(provider, "nonsense"))
    assert failed.code == f"provider_{code}"
    endpoint.then(pulls())
    assert await pulled(provider)


async def test_closing_a_pull_stops_it(provider, endpoint):
    endpoint.then(pulls(then=stall))
    async with asyncio.timeout(10), aclosing(provider.pull("new")) as reports:
        assert (await anext(reports)).status == "pulling manifest"
    await asyncio.wait_for(endpoint.abandoned.wait(), 10)


async def test_closing_the_provider_ends_a_pull_that_waits(made, endpoint):
    provider = made(endpoint.url)
    endpoint.then(pulls(then=stall))
    pulling = asyncio.create_task(failure(pulled(provider)))
    await asyncio.wait_for(endpoint.stalled.wait(), 10)
    await provider.aclose()
    assert (await pulling).code is Code.PROVIDER_UNAVAILABLE


async def test_only_the_key_of_the_settings_is_sent(made, endpoint, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "the-clients-own")
    await answer(made(endpoint.url), asks())
    assert not any("authorization" in one.headers for one in endpoint.asked)
    await answer(made(endpoint.url, {"KEY": KEY}, api_key_env="KEY"), asks())
    assert endpoint.asked[-1].headers["authorization"] == f"Bearer {KEY}"


async def test_the_clients_own_variable_does_not_lead_elsewhere(made, monkeypatch):
    async with open_ollama_server() as elsewhere:
        monkeypatch.setenv("OLLAMA_HOST", elsewhere.url)
        provider = made("http://127.0.0.1:9")
        assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
        assert elsewhere.asked == []


async def test_calls_that_come_with_text_are_both_told(provider, endpoint):
    call = {"function": {"name": "look", "arguments": {"at": {"name": "it"}}}}
    endpoint.then(lines(piece({"content": "Let me see."}), piece({"content": "", "tool_calls": [call, call]}), last()))
    delta, completion = await pieces_of(provider, asks(tools=(LOOK,)))
    assert delta.text == completion.text == "Let me see."
    assert [one.id for one in completion.tool_calls] == ["call_0", "call_1"]
    endpoint.then(calls(("look", {}), ("look", {"n": None})))
    assert [one.arguments for one in (await answer(provider, asks(tools=(LOOK,)))).tool_calls] == ["{}", '{"n": null}']
