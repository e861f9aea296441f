"""Whatever an Ollama does wrong ends in one clear error, in bounded time and memory, and the next request works."""

import asyncio
import contextlib
import json
import traceback
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.errors import Code
from caxton.domain.settings import ProviderSettings
from caxton.providers.bounded import LARGEST_ANSWER
from caxton.providers.ollama import OllamaProvider
from caxton.testing.http_double import HttpDouble, answers, endless, open_http_double, reset, stall
from caxton.testing.ollama_server import fails, last, lines, open_ollama_server, piece

KEY = "sk-Planted0Key1That2Nobody3May4See"
SLACK = 24 * 1024 * 1024
"""Bytes that may be on their way between two ends of a loopback connection."""
MEGABYTE = b"x" * (1024 * 1024)


@pytest.fixture
async def endpoint() -> AsyncIterator[HttpDouble]:
    async with open_ollama_server() as endpoint:
        yield endpoint


@pytest.fixture
async def made() -> AsyncIterator:
    """Makes providers for a URL, closed at the end of the test."""
    providers: list[OllamaProvider] = []

    def make(url: str | None, **settings) -> OllamaProvider:
        asked = ProviderSettings(name="remote", kind="ollama", base_url=url, api_key_env="KEY", **settings)
        providers.append(OllamaProvider(asked, environ={"KEY": KEY}, data_dir=Path()))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.aclose()


@pytest.fixture
def provider(made, endpoint) -> OllamaProvider:
    return made(endpoint.url)


def both(provider, request=None):
    """The same question asked both ways."""
    request = request or asks()
    return [answer(provider, request), pieces_of(provider, request)]


async def works(provider) -> bool:
    return (await answer(provider, asks())).text == "Hello from the double."


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (400, "no", Code.PROVIDER_REJECTED),
        (400, "this input exceeds the context length", Code.CONTEXT_TOO_LONG),
        (400, "registry.ollama.ai/library/double does not support tools", Code.MODEL_INCAPABLE),
        (401, "unauthorized", Code.PROVIDER_AUTHENTICATION),
        (404, "404 page not found", Code.PROVIDER_REJECTED),
        (429, "too many", Code.PROVIDER_RATE_LIMITED),
        (500, "llama runner process has terminated", Code.PROVIDER_UNAVAILABLE),
        (503, "server busy, please try again. maximum pending requests exceeded", Code.PROVIDER_UNAVAILABLE),
        (504, "no", Code.PROVIDER_TIMEOUT),
    ],
)
async def test_a_status_means_one_code_and_the_next_request_works(provider, endpoint, status, error, code):
    for asked in both(provider):
        endpoint.then(fails(status, error, retry_after="7"))
        failed = await failure(asked)
        assert failed.code is code
        assert failed.why == error
        assert failed.retry_after == (7.0 if status in (429, 500, 503) else None)
    assert await works(provider)


async def test_a_model_that_is_not_there_is_told_with_the_command_that_fetches_it(provider, endpoint):
    for work in answer, pieces_of:
        failed = await failure(work(provider, asks(model="llama9:1b")))
        assert failed.code is Code.PROVIDER_REJECTED
        assert "'llama9:1b'" in failed.message
        assert "`caxton provider pull remote llama9:1b`" in failed.hint
    assert await works(provider)


async def test_a_refused_connection_says_how_to_start_it(made):
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    provider = made(f"http://127.0.0.1:{port}")
    for asked in (*both(provider), provider.models(), anext(provider.pull("x"))):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert failed.why
        assert "`ollama serve`" in failed.hint
        assert "[providers.remote]" in failed.hint


async def test_a_host_that_no_name_server_knows_is_unavailable(made):
    for asked in both(made("http://caxton.invalid")):
        assert (await failure(asked)).code is Code.PROVIDER_UNAVAILABLE


async def test_an_endpoint_without_tls_where_tls_is_asked_is_unavailable(made):
    async def plain(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listener:
        for asked in both(made(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_UNAVAILABLE
            assert failed.why


@pytest.mark.parametrize("url", ["http://", "http:///api", "http://[::1", "http://host:99999"])
async def test_an_address_that_is_none_is_told_with_its_setting(made, url):
    for asked in both(made(url)):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert "base_url" in failed.message
        assert "[providers.remote]" in failed.hint


@pytest.mark.parametrize("scene", [stall, lines(then=stall), lines(piece({"content": "Hel"}), then=stall)])
async def test_a_stall_ends_with_the_time_allowed_and_the_connection_is_given_up(provider, endpoint, scene):
    assert await works(provider)
    endpoint.then(scene)
    assert (await failure(pieces_of(provider, asks(timeout=0.1)))).code is Code.PROVIDER_TIMEOUT
    await asyncio.wait_for(endpoint.abandoned.wait(), 10)
    assert await works(provider)


async def test_a_stall_of_what_it_is_asked_first_ends_too(made):
    async with open_http_double(stall) as endpoint:
        provider = made(endpoint.url, timeout=0.1)
        for asked in (*both(provider), provider.models()):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_TIMEOUT
            assert "0.1 s" in failed.message


async def test_a_connection_cut_in_the_middle_is_unavailable(provider, endpoint):
    for scene in reset, lines(piece({"content": "Hel"}), then=reset):
        endpoint.then(scene)
        assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    endpoint.then(reset)
    assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert await works(provider)


async def test_an_error_in_the_middle_of_a_stream_is_told_in_its_words(provider, endpoint):
    endpoint.then(lines(piece({"content": "Hel"}), {"error": "an unknown error was encountered"}))
    failed = await failure(pieces_of(provider, asks()))
    assert failed.code is Code.PROVIDER_UNAVAILABLE
    assert failed.why == "an unknown error was encountered"
    assert await works(provider)


GARBAGE = [
    b"",
    b"this is no JSON",
    b'{"message": {"content": "cut',
    b"<!doctype html><title>Sign in</title>",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"message": null}',
    b'{"message": {"content": "who?"}}',
    b'{"message": {"role": "assistant", "content": 42}}',
    b'{"message": {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "no object"}}]}}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", GARBAGE)
async def test_what_cannot_be_read_is_malformed(provider, endpoint, body):
    for asked in both(provider):
        endpoint.then(answers(body))
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_MALFORMED
        assert len(failed.why) <= 500
    assert await works(provider)


@pytest.mark.parametrize(
    "scene",
    [
        lines(),
        lines(piece({"content": "never finished"})),
        lines(piece({"content": "Hel"}), b'{"message": {"ro'),
        lines(piece({"content": "Hel"}), b"\xff\xfe", last()),
        lines([1, 2]),
    ],
)
async def test_a_stream_that_is_none_or_never_finishes_is_malformed(provider, endpoint, scene):
    endpoint.then(scene)
    assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_MALFORMED
    assert await works(provider)


@pytest.mark.parametrize(
    "scene",
    [
        endless(MEGABYTE, begin=b'{"message": {"content": "', content_type="application/json"),
        endless((json.dumps(piece({"content": "waiting " * 8000})) + "\n").encode() * 16),
        endless(MEGABYTE, status=500, content_type="text/plain"),
    ],
    ids=["one line", "many lines", "error"],
)
async def test_an_answer_without_end_is_cut_off_and_takes_bounded_memory(provider, endpoint, scene):
    assert await works(provider)
    for asked in both(provider):
        sent = endpoint.sent
        endpoint.then(scene)
        tracemalloc.start()
        try:
            failed = await failure(asked)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert failed.code is Code.PROVIDER_MALFORMED
        assert "larger than" in failed.message
        assert endpoint.sent - sent < LARGEST_ANSWER + SLACK
        assert peak < 6 * LARGEST_ANSWER
    assert await works(provider)


async def test_an_answer_in_an_encoding_without_a_bound_is_malformed(provider, endpoint):
    endpoint.then(lambda exchange: exchange.answer(200, b"{}", {"content-encoding": "br"}))
    failed = await failure(answer(provider, asks()))
    assert failed.code is Code.PROVIDER_MALFORMED
    assert "'br'" in failed.message


async def test_the_key_is_in_no_error_and_no_traceback(provider, endpoint):
    words = f"the key {KEY} is not known"
    for work, scene in [
        (answer(provider, asks()), fails(401, words)),
        (pieces_of(provider, asks()), fails(401, words)),
        (pieces_of(provider, asks()), lines({"error": words})),
        (anext(provider.pull("x")), lines({"error": words})),
    ]:
        assert await works(provider)
        endpoint.then(scene)
        failed = await failure(work)
        assert failed.why == "the key [key] is not known"
        assert KEY not in "".join(traceback.format_exception(failed))


async def test_one_that_answers_nothing_but_pages_is_told_to_be_none(made):
    async with open_http_double(answers(b"<html>", "text/html")) as endpoint:
        provider = made(endpoint.url, model="x")
        for asked in (*both(provider), provider.models()):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_MALFORMED
            assert "base_url" in failed.hint
