"""LiteLLM, by its real library: what it is told, what its errors mean, and what it may not do to the process."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.completion import ModelInfo, ResponseSchema
from caxton.domain.errors import Code
from caxton.domain.ports.provider import ListsModels, Warms
from caxton.domain.settings import ProviderSettings
from caxton.providers import litellm_wire
from caxton.providers.litellm import LiteLLMProvider
from caxton.testing.http_double import HttpDouble, answers, endless, reset, stall
from caxton.testing.openai_server import DONE, chunk, events, fails, open_openai_server

KEY = "sk-Planted0Key1That2Nobody3May4See"
KNOWN = "anthropic/claude-sonnet-4-5"


@pytest.fixture
async def endpoint() -> AsyncIterator[HttpDouble]:
    async with open_openai_server() as endpoint:
        yield endpoint


@pytest.fixture
async def made() -> AsyncIterator:
    """Makes providers for a URL, closed at the end of the test."""
    litellm_wire.load_litellm()
    providers: list[LiteLLMProvider] = []

    def make(url: str | None, environ: dict[str, str] | None = None, **settings) -> LiteLLMProvider:
        fields = {"model": "openai/m", "api_key_env": "KEY", **settings}
        asked = ProviderSettings(name="remote", kind="litellm", base_url=url, **fields)
        providers.append(LiteLLMProvider(asked, environ={"KEY": KEY} if environ is None else environ, data_dir=Path()))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.aclose()


@pytest.fixture
def provider(made, endpoint) -> LiteLLMProvider:
    return made(endpoint.url)


def both(provider, request=None):
    """The same question asked both ways."""
    request = request or asks()
    return [answer(provider, request), pieces_of(provider, request)]


async def works(provider) -> bool:
    return (await answer(provider, asks())).text == "Hello from the double."


def test_nothing_of_it_is_imported_before_it_is_needed():
    """Else everybody's start would take as long as its."""
    code = (
        "import sys; from caxton.providers.kinds import provider_kind; provider_kind('litellm'); "
        "provider_kind('ollama'); print([m for m in ('litellm', 'openai', 'ollama', 'httpx') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


async def test_a_missing_extra_is_told_with_the_command_that_installs_it(made, monkeypatch):
    provider = made(None)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "litellm", None)
        litellm_wire.load_litellm.cache_clear()
        for asked in both(provider):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_UNAVAILABLE
            assert "pip install 'caxton[litellm]'" in failed.hint
            assert "litellm" in failed.why


async def test_a_request_reaches_the_service_as_it_was_meant(provider, endpoint):
    await answer(provider, asks(stop=("a",), top_p=0.5, response_schema=ResponseSchema(schema={"type": "object"})))
    asked = endpoint.asked[-1]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "m"
    assert asked.body["messages"] == [
        {"role": "system", "content": "You are brief."},
        {"role": "user", "content": "Say hello."},
    ]
    options = {name: asked.body[name] for name in ("temperature", "seed", "max_tokens", "stop", "top_p")}
    assert options == {"temperature": 0.0, "seed": 1, "max_tokens": 8, "stop": ["a"], "top_p": 0.5}
    assert asked.body["response_format"]["json_schema"]["schema"] == {"type": "object"}


async def test_it_leaves_the_process_as_it_was(provider, capfd, caplog):
    root = [*logging.getLogger().handlers]
    assert await works(provider)
    await failure(answer(provider, asks(model="of-no-service/x")))
    assert [*logging.getLogger().handlers] == root
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("LiteLLM")]
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True", "else it fetches its tables from the network"


async def test_what_a_model_can_do_is_in_its_tables_unless_the_settings_say(made, endpoint):
    provider = made(endpoint.url, model=None)
    assert provider.describe(KNOWN) == ModelInfo(name=KNOWN)
    await answer(provider, asks(model="openai/m"))
    assert provider.describe(KNOWN) == ModelInfo(
        name=KNOWN, context_length=200_000, tools=True, vision=True, json_schema=True
    )
    assert provider.describe("openai/m") == ModelInfo(name="openai/m")
    assert provider.describe("groq/claude-sonnet-4-5") == ModelInfo(name="groq/claude-sonnet-4-5")
    strict = made(endpoint.url, model=KNOWN, context_length=1000, vision=False)
    await answer(strict, asks(model="openai/m"))
    assert strict.describe(None) == ModelInfo(
        name=KNOWN, context_length=1000, tools=True, vision=False, json_schema=True
    )


def test_it_does_not_claim_to_list_models(provider):
    assert not isinstance(provider, ListsModels)


async def test_warming_loads_its_tables_in_the_background(made, endpoint):
    provider = made(endpoint.url)
    assert isinstance(provider, Warms)
    provider.warm()
    async with asyncio.timeout(30):
        while provider.describe(KNOWN).tools is None:
            await asyncio.sleep(0)
    assert endpoint.asked == []


async def test_without_a_model_it_says_how_to_name_one(made, endpoint):
    for asked in both(made(endpoint.url, model=None)):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_REJECTED
        assert "[providers.remote]" in failed.hint


async def test_a_model_without_a_service_is_rejected(made):
    for asked in both(made(None, model="nonsense")):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_REJECTED
        assert "nonsense" in failed.why


async def test_a_service_whose_key_is_nowhere_says_so(made, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for model in KNOWN, "openai/m":
        provider = made(None, model=model, api_key_env=None)
        for asked in both(provider, asks(seed=None)):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_AUTHENTICATION
            assert "_API_KEY" in failed.why


async def test_an_option_that_the_service_does_not_know_is_named(made):
    for asked in both(made(None, model=KNOWN), asks(seed=1)):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_REJECTED
        assert "['seed']" in failed.why
        assert "[llm]" in failed.hint


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, None, Code.PROVIDER_REJECTED),
        (400, {"message": "no", "code": "context_length_exceeded"}, Code.CONTEXT_TOO_LONG),
        (400, {"message": "This model's maximum context length is 8 tokens."}, Code.CONTEXT_TOO_LONG),
        (400, {"message": "no", "code": "content_filter"}, Code.PROVIDER_REFUSED),
        (400, {"message": "no", "code": "content_policy_violation"}, Code.PROVIDER_REFUSED),
        (400, {"message": "m does not support tools"}, Code.MODEL_INCAPABLE),
        (401, None, Code.PROVIDER_AUTHENTICATION),
        (402, None, Code.PROVIDER_QUOTA),
        (403, None, Code.PROVIDER_AUTHENTICATION),
        (404, None, Code.PROVIDER_REJECTED),
        (422, None, Code.PROVIDER_REJECTED),
        (429, None, Code.PROVIDER_RATE_LIMITED),
        (429, {"message": "no", "code": "insufficient_quota"}, Code.PROVIDER_QUOTA),
        (500, None, Code.PROVIDER_UNAVAILABLE),
        (503, None, Code.PROVIDER_UNAVAILABLE),
        (504, None, Code.PROVIDER_TIMEOUT),
    ],
)
async def test_a_status_means_one_code_and_the_next_request_works(provider, endpoint, status, error, code):
    for asked in both(provider):
        endpoint.then(fails(status, error, retry_after="7"))
        failed = await failure(asked)
        assert failed.code is code
        assert "'remote'" in failed.message
        assert failed.why
        assert failed.retry_after == (7.0 if status in (429, 500, 503) else failed.retry_after)
    assert await works(provider)
    assert len(endpoint.asked) == 3, "no request is repeated behind the caller's back"


async def test_what_cannot_be_reached_is_unavailable(made, endpoint):
    for url in "http://127.0.0.1:9/v1", "http://caxton.invalid/v1":
        for asked in both(made(url)):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_UNAVAILABLE
            assert failed.why
    for asked in both(made("http://:99999/v1")):
        assert "base_url" in (await failure(asked)).message


@pytest.mark.parametrize("scene", [stall, events(then=stall), events(chunk({"content": "Hel"}), then=stall)])
async def test_a_stall_ends_with_the_time_allowed_and_the_connection_is_given_up(provider, endpoint, scene):
    assert await works(provider)
    endpoint.then(scene)
    assert (await failure(pieces_of(provider, asks(timeout=0.1)))).code is Code.PROVIDER_TIMEOUT
    await asyncio.wait_for(endpoint.abandoned.wait(), 10)
    assert await works(provider)


async def test_a_connection_cut_in_the_middle_is_unavailable(provider, endpoint):
    for scene in reset, events(chunk({"content": "Hel"}), then=reset):
        endpoint.then(scene)
        assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    endpoint.then(reset)
    assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert await works(provider)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"<!doctype html>", b"[]", b"{}", b'{"choices": []}', b"\xff\xfe"])
async def test_what_cannot_be_read_is_malformed(provider, endpoint, body):
    for asked in both(provider):
        endpoint.then(answers(body))
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_MALFORMED
        assert len(failed.why) <= 500
    assert await works(provider)


@pytest.mark.parametrize("data", [["no JSON"], [], [DONE], [chunk({"content": "never finished"})]])
async def test_a_stream_that_is_none_or_never_finishes_is_malformed(provider, endpoint, data):
    endpoint.then(events(*data))
    assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_MALFORMED
    assert await works(provider)


async def test_an_error_in_the_middle_of_a_stream_is_told_in_the_services_words(provider, endpoint):
    endpoint.then(events(chunk({"content": "Hel"}), json.dumps({"error": {"message": "overloaded"}})))
    failed = await failure(pieces_of(provider, asks()))
    assert (failed.code, failed.why) == (Code.PROVIDER_UNAVAILABLE, "overloaded")


async def test_a_stream_without_end_is_cut_off(provider, endpoint, monkeypatch):
    assert await works(provider)
    monkeypatch.setattr("caxton.providers.litellm_wire.LARGEST_ANSWER", 100_000)
    said = [f"data: {chunk({'content': word})}\n\n".encode() for word in ("on ", "and ")]
    endpoint.then(endless(b"".join(said) * 50))
    failed = await failure(pieces_of(provider, asks()))
    assert failed.code is Code.PROVIDER_MALFORMED
    assert "larger than 100000 bytes" in failed.message


async def test_usage_that_the_service_does_not_tell_is_unknown(provider, endpoint):
    body = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "model": "m"}
    endpoint.then(answers(json.dumps(body).encode()), events(chunk({"content": "hi"}), chunk({}, "stop"), DONE))
    for completion in await answer(provider, asks()), (await pieces_of(provider, asks()))[-1]:
        assert (completion.text, completion.usage) == ("hi", None)


@pytest.mark.parametrize("place", ["settings", "environment"])
async def test_the_key_is_in_no_error_wherever_it_came_from(made, endpoint, monkeypatch, place):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = {} if place == "settings" else {"environ": {"OPENAI_API_KEY": KEY}, "api_key_env": None}
    for asked in both(made(endpoint.url, **settings)):
        endpoint.then(fails(401, {"message": f"the key {KEY} is not known"}))
        failed = await failure(asked)
        assert KEY in endpoint.asked[-1].headers["authorization"]
        assert KEY not in f"{failed.message} {failed.why} {failed.hint} {failed.__cause__!r}"
        assert "[key]" in failed.why
