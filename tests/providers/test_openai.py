"""What is sent to an endpoint of the OpenAI protocol, and what is made of its answers."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.completion import FinishReason, Usage
from caxton.domain.errors import Code
from caxton.domain.settings import ProviderSettings
from caxton.providers.lazy_wire import open_wire
from caxton.providers.openai import KEYLESS, OpenAIProvider
from caxton.testing.openai_server import DONE, answers, chunk, events, fails, says


def body(**fields) -> bytes:
    choice = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **fields}).encode()


async def test_a_request_is_written_as_the_protocol_has_it(provider, endpoint, key):
    await answer(provider, asks("Hello", top_p=0.5, stop=("a", "b"), max_tokens=9))
    (asked,) = endpoint.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions")
    assert asked.headers["authorization"] == f"Bearer {key}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 1,
        "max_tokens": 9,
        "stop": ["a", "b"],
    }


async def test_a_plain_connection_is_kept_after_a_whole_answer_and_not_after_a_streamed_one(provider, endpoint):
    await answer(provider, asks())
    await pieces_of(provider, asks())
    await answer(provider, asks())
    assert [asked.headers["connection"] for asked in endpoint.asked] == ["keep-alive", "close", "keep-alive"]


async def test_options_that_the_protocol_has_no_name_for_stand_beside_the_others(endpoint):
    defaults = {"temperature": 0.5, "extra_body": {"repeat_penalty": 1.1}}
    wire = await open_wire(name="x", key="k", timeout=20.0, base_url=endpoint.url, model="m", defaults=defaults)
    await wire.complete(asks(temperature=None, seed=None, max_tokens=None))
    await wire.aclose()
    body = endpoint.asked[0].body
    assert body.keys() == {"model", "messages", "temperature", "repeat_penalty"}
    assert (body["temperature"], body["repeat_penalty"]) == (0.5, 1.1)


async def test_what_was_not_chosen_is_left_to_the_endpoint(provider, endpoint):
    await answer(provider, asks(temperature=None, seed=None, max_tokens=None))
    assert set(endpoint.asked[0].body) == {"model", "messages"}


async def test_the_requests_model_goes_before_the_settings(provider, endpoint):
    await answer(provider, asks(model="other"))
    assert endpoint.asked[0].body["model"] == "other"


async def test_without_any_model_the_first_that_is_listed_is_asked_for_ever(made, endpoint):
    provider = made(endpoint.url, model=None)
    assert provider.describe(None).name == ""
    await answer(provider, asks())
    await answer(provider, asks())
    assert [asked.path for asked in endpoint.asked] == ["/v1/models", *["/v1/chat/completions"] * 2]
    assert endpoint.asked[-1].body["model"] == "double"


@pytest.mark.parametrize("listing", [b'{"data": []}', b'{"data": null}', b"{}", b"<html></html>", b'{"data": [{}]}'])
async def test_a_list_without_models_is_an_error_and_asked_for_again(made, endpoint, listing):
    provider = made(endpoint.url, model=None)
    endpoint.then(answers(listing))
    failed = await failure(answer(provider, asks()))
    assert failed.code in (Code.PROVIDER_REJECTED, Code.PROVIDER_MALFORMED)
    assert (await answer(provider, asks())).text


async def test_usage_is_asked_for_in_streams_unless_the_endpoint_cannot(provider, endpoint):
    assert (await pieces_of(provider, asks()))[-1].usage == Usage(prompt_tokens=7, completion_tokens=4)
    assert endpoint.asked[0].body["stream_options"] == {"include_usage": True}
    endpoint.then(
        fails(400, {"message": "Unknown parameter: 'stream_options'."}),
        events(chunk({"content": "Hi"}, "stop"), DONE),
    )
    completion = (await pieces_of(provider, asks()))[-1]
    assert (completion.text, completion.usage) == ("Hi", None)
    assert "stream_options" not in endpoint.asked[-1].body


@pytest.mark.parametrize("usage", [None, {}, "much", {"prompt_tokens": 1}, {"prompt_tokens": "1"}, [1]])
async def test_usage_that_cannot_be_read_is_none(provider, endpoint, usage):
    endpoint.then(answers(body(usage=usage)))
    completion = await answer(provider, asks())
    assert (completion.text, completion.usage) == ("Hi", None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("eos_token", FinishReason.STOP),
    ],
)
async def test_the_reason_is_read_both_ways(provider, endpoint, said, reason):
    endpoint.then(says("Hi", finish=said), says("Hi", finish=said))
    assert (await answer(provider, asks())).finish_reason is reason
    assert (await pieces_of(provider, asks()))[-1].finish_reason is reason


@pytest.mark.parametrize(("named", "model"), [("exact-1", "exact-1"), (None, "m"), ("", "m"), (7, "m")])
async def test_the_model_is_named_as_the_endpoint_names_it(provider, endpoint, named, model):
    endpoint.then(answers(body(model=named)))
    assert (await answer(provider, asks())).model == model


async def test_a_missing_key_is_named_by_its_variable_and_found_once_it_is_set():
    environ: dict[str, str] = {}
    settings = ProviderSettings(name="remote", kind="openai", base_url="http://127.0.0.1:1/v1", api_key_env="MY_KEY")
    provider = OpenAIProvider(settings, environ=environ, data_dir=Path())
    for _ in range(2):
        failed = await failure(provider.complete(asks(model="m")))
        assert failed.code is Code.PROVIDER_AUTHENTICATION
        assert "MY_KEY" in failed.message
        assert "export MY_KEY" in failed.hint
    environ["MY_KEY"] = "k"
    assert (await failure(provider.complete(asks(model="m")))).code is Code.PROVIDER_UNAVAILABLE
    await provider.aclose()


@pytest.mark.parametrize("key", ["", " \n", "two\nlines", "schlüssel", "a\0b"])
async def test_what_cannot_be_a_key_is_never_shown(key):
    settings = ProviderSettings(name="remote", kind="openai", api_key_env="MY_KEY")
    provider = OpenAIProvider(settings, environ={"MY_KEY": key}, data_dir=Path())
    failed = await failure(provider.complete(asks()))
    assert failed.code is Code.PROVIDER_AUTHENTICATION
    assert not key.strip() or key not in f"{failed.message} {failed.hint} {failed.why}"


async def test_an_endpoint_for_which_no_key_is_named_is_sent_none_of_ours(made, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-somebody-else")
    await answer(made(endpoint.url, api_key_env=None), asks())
    assert endpoint.asked[0].headers["authorization"] == f"Bearer {KEYLESS}"
    assert "somebody-else" not in json.dumps(endpoint.asked[0].headers)


async def test_giving_up_waiting_for_the_client_leaves_it_to_those_who_wait_on(provider):
    waiting = asyncio.create_task(answer(provider, asks()))
    impatient = asyncio.create_task(provider.complete(asks()))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert (await waiting).text


def test_nothing_heavy_is_imported_before_the_first_request():
    script = "import sys, caxton.providers.openai, caxton.providers.local; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openai", "httpx", "httpx2", "xllamacpp", "pydantic"} & set(loaded)
