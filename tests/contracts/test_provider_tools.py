"""What every provider has to do with tools, schemas and images, whatever its peer can do of itself.

`local` calls tools by constrained decoding with the real embedded model, whose chat template knows no tools. So the
calls of endpoints are those of doubles: of the OpenAI protocol, also by way of LiteLLM, and of Ollama's.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from support.completions import answer, asks, failure, pieces_of
from support.stages import Stage

from caxton.domain.completion import (
    ChatMessage,
    Completion,
    Delta,
    FinishReason,
    Image,
    ResponseSchema,
    Role,
    ToolCall,
    ToolChoice,
    ToolSpec,
)
from caxton.domain.errors import Code
from caxton.domain.ports.provider import DescribesModels, ListsModels, Provider
from caxton.domain.settings import ProviderSettings
from caxton.providers.litellm import LiteLLMProvider
from caxton.providers.litellm_wire import load_litellm
from caxton.providers.ollama import OllamaProvider
from caxton.providers.openai import OpenAIProvider
from caxton.testing import ollama_server, openai_server
from caxton.testing.http_double import HttpDouble, Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER = ToolSpec(
    name="weather",
    description="The weather of a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Paris", "Oslo"]},
            "when": {"type": "object", "properties": {"day": {"type": "integer", "minimum": 1}}, "required": ["day"]},
        },
        "required": ["city"],
        "additionalProperties": False,
    },
)
TIME = ToolSpec(name="clock", description="The time.", parameters={"type": "object", "properties": {}})
COLOUR = ResponseSchema(
    schema={
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
)
PICTURE = Image(media_type="image/png", data=b"\x89PNG\r\n\x1a\n not much of one")
MADE = [("weather", {"city": "Oslo", "when": {"day": 2}}), ("clock", {})]


class Double:
    """A provider of some kind with the double of its endpoint."""

    def __init__(self, provider: Provider, endpoint: HttpDouble, calls: Any, says: Any) -> None:
        self.provider = provider
        self.endpoint = endpoint
        self._calls = calls
        self.says = says

    def calls(self, *made: tuple[str, dict[str, Any]]) -> Scene:
        return self._calls(*made)

    @property
    def asked(self) -> dict[str, Any]:
        """The body of the last request."""
        return self.endpoint.asked[-1].body


def openai_calls(*made: tuple[str, dict[str, Any]]) -> Scene:
    return openai_server.calls(*((name, json.dumps(arguments)) for name, arguments in made), fragment=3)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["openai", "litellm", "ollama"])
async def double(request: pytest.FixtureRequest) -> AsyncIterator[Double]:
    kind = request.param
    server = ollama_server if kind == "ollama" else openai_server
    opened = ollama_server.open_ollama_server() if kind == "ollama" else openai_server.open_openai_server()
    made = {"openai": OpenAIProvider, "litellm": LiteLLMProvider, "ollama": OllamaProvider}[kind]
    if kind == "litellm":
        load_litellm()
    model = {"openai": "m", "litellm": "openai/m", "ollama": None}[kind]
    async with opened as endpoint, AsyncExitStack() as stack:
        settings = ProviderSettings(name=kind, kind=kind, base_url=endpoint.url, model=model, api_key_env="KEY")
        provider = made(settings, environ={"KEY": "key"}, data_dir=Path())
        stack.push_async_callback(provider.aclose)
        yield Double(provider, endpoint, ollama_server.calls if kind == "ollama" else openai_calls, server.says)


def with_tools(text: str = "What is the weather in Oslo tomorrow?", **fields: Any) -> Any:
    return asks(text, **{"tools": (WEATHER, TIME), "max_tokens": 60, **fields})


async def both(provider: Provider, request: Any) -> list[Completion]:
    """The same asked both ways."""
    return [await answer(provider, request), (await pieces_of(provider, request))[-1]]


def read(call: ToolCall) -> tuple[str, Any]:
    return call.name, json.loads(call.arguments)


async def test_calls_at_once_come_whole_and_in_order_however_they_are_sent(double):
    double.endpoint.then(double.calls(*MADE), double.calls(*MADE))
    for completion in await both(double.provider, with_tools()):
        assert [read(call) for call in completion.tool_calls] == MADE
        assert len({call.id for call in completion.tool_calls}) == len(MADE)
        assert completion.finish_reason is FinishReason.TOOL_CALLS
        assert completion.text == ""
        assert completion.usage


async def test_the_whole_schema_of_a_tool_reaches_the_endpoint(double):
    await answer(double.provider, with_tools())
    assert [tool["function"]["parameters"] for tool in double.asked["tools"]] == [WEATHER.parameters, TIME.parameters]


async def test_calls_and_their_results_are_told_to_the_model(double):
    begun = with_tools()
    calls = tuple(ToolCall(id=f"c{place}", name=name, arguments=json.dumps(a)) for place, (name, a) in enumerate(MADE))
    results = [ChatMessage(Role.TOOL, f"result {place}", tool_call_id=f"c{place}") for place in (1, 0)]
    messages = (*begun.messages, ChatMessage(Role.ASSISTANT, "", tool_calls=calls), *results)
    await answer(double.provider, msgspec.structs.replace(begun, messages=messages))
    told = double.asked["messages"][2:]
    assert [call["function"]["name"] for call in told[0]["tool_calls"]] == ["weather", "clock"]
    assert [result["content"] for result in told[1:]] == ["result 1", "result 0"]
    assert [result.get("tool_call_id", result.get("tool_name")) for result in told[1:]] in (
        ["c1", "c0"],
        ["clock", "weather"],
    )


async def test_a_tool_choice_of_none_calls_none(double):
    double.endpoint.then(double.says("no"), double.says("no"))
    for completion in await both(double.provider, with_tools(tool_choice=ToolChoice.NONE)):
        assert (completion.text, completion.tool_calls) == ("no", ())
    assert "tools" not in double.asked or double.asked["tool_choice"] == "none"


async def test_an_image_reaches_the_endpoint(double):
    message = ChatMessage(Role.USER, "What is this?", images=(PICTURE,))
    await answer(double.provider, msgspec.structs.replace(asks(), messages=(message,)))
    assert "iVBORw0KGgog" in json.dumps(double.asked)


async def test_a_schema_reaches_the_endpoint(double):
    await answer(double.provider, asks(response_schema=COLOUR))
    assert json.dumps(COLOUR.schema) in json.dumps(double.asked)


async def test_a_model_that_is_known_to_have_no_eyes_is_not_shown_anything(double):
    blind = msgspec.structs.replace(double.provider._settings, vision=False)
    provider = type(double.provider)(blind, environ={"KEY": "key"}, data_dir=Path())
    seen = sum(one.path.endswith(("/chat", "/completions")) for one in double.endpoint.asked)
    message = ChatMessage(Role.USER, "What is this?", images=(PICTURE,))
    try:
        for work in answer, pieces_of:
            error = await failure(work(provider, msgspec.structs.replace(asks(), messages=(message,))))
            assert error.code is Code.MODEL_INCAPABLE
            assert "look at images" in error.message
    finally:
        await provider.aclose()
    assert sum(one.path.endswith(("/chat", "/completions")) for one in double.endpoint.asked) == seen


LOCAL = pytest.mark.parametrize("stage", ["local"], indirect=True)
REAL = pytest.mark.parametrize("stage", ["local", "server", "litellm"], indirect=True)


@LOCAL
async def test_the_embedded_model_calls_a_tool_by_its_schema_when_it_must(provider):
    for completion in await both(provider, with_tools(tool_choice=ToolChoice.REQUIRED)):
        (call,) = completion.tool_calls
        name, arguments = read(call)
        assert name in ("weather", "clock")
        assert name == "clock" or arguments["city"] in ("Paris", "Oslo")
        assert completion.finish_reason is FinishReason.TOOL_CALLS


@LOCAL
async def test_the_embedded_model_either_calls_or_replies(provider):
    for text in "What is the weather in Paris?", "Say hello.":
        for completion in await both(provider, with_tools(text)):
            assert bool(completion.text) != bool(completion.tool_calls)


@LOCAL
async def test_the_deltas_of_a_constrained_reply_are_its_text(provider):
    *deltas, completion = await pieces_of(provider, with_tools("Say hello."))
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == completion.text


@LOCAL
async def test_the_embedded_model_is_shown_no_images(provider):
    message = ChatMessage(Role.USER, "What is this?", images=(PICTURE,))
    request = msgspec.structs.replace(asks(), messages=(message,))
    assert (await failure(answer(provider, request))).code is Code.MODEL_INCAPABLE
    assert (await failure(pieces_of(provider, request))).code is Code.MODEL_INCAPABLE


@REAL
async def test_a_real_model_answers_by_the_schema(provider):
    for completion in await both(provider, asks("Which colour?", response_schema=COLOUR, max_tokens=30)):
        assert json.loads(completion.text)["colour"] in ("red", "blue")
        assert completion.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("stage", ["server", "litellm"], indirect=True)
@pytest.mark.parametrize("choice", [ToolChoice.AUTO, ToolChoice.REQUIRED])
async def test_an_endpoint_that_passes_over_the_tools_answers_with_text(provider, choice):
    for completion in await both(provider, with_tools(max_tokens=12, tool_choice=choice)):
        assert completion.text
        assert (completion.tool_calls, completion.finish_reason) == ((), FinishReason.LENGTH)


@pytest.mark.parametrize("stage", ["server", "litellm"], indirect=True)
async def test_an_endpoint_that_says_that_its_model_has_no_eyes_is_understood(provider):
    message = ChatMessage(Role.USER, "What is this?", images=(PICTURE,))
    for work in answer, pieces_of:
        error = await failure(work(provider, msgspec.structs.replace(asks(), messages=(message,))))
        assert error.code is Code.MODEL_INCAPABLE
        assert "image input is not supported" in error.why


@pytest.mark.parametrize("stage", ["local", "server", "double", "ollama"], indirect=True)
async def test_the_models_that_can_be_asked_for_are_listed_and_answer(stage: Stage, provider):
    assert isinstance(provider, ListsModels)
    assert isinstance(provider, DescribesModels)
    for model in await provider.models():
        assert (await answer(provider, asks(model=model.name))).text
        assert provider.describe(model.name) == model


@pytest.mark.parametrize("stage", ["server", "double", "ollama"], indirect=True)
async def test_models_of_a_closed_provider_are_not_listed(stage: Stage):
    provider = stage.another()
    await provider.aclose()
    assert (await failure(provider.models())).code is Code.PROVIDER_UNAVAILABLE


async def test_streams_of_calls_can_be_closed_early(double):
    double.endpoint.then(double.calls(*MADE))
    async with aclosing(double.provider.stream(with_tools())) as pieces:
        assert isinstance(await anext(pieces), Completion)
    assert (await answer(double.provider, asks())).text
