"""Whatever an endpoint of the OpenAI protocol does wrong ends in one clear error, and the next request works."""

import asyncio
import contextlib
import gzip
import json
import logging
import random
import traceback
import tracemalloc

import pytest
from support.completions import answer, asks, failure, pieces_of

from caxton.domain.errors import Code
from caxton.providers.bounded import LARGEST_ANSWER, LARGEST_ENCODED
from caxton.testing.openai_server import (
    DONE,
    answers,
    chunk,
    endless,
    events,
    fails,
    reset,
    says,
    stall,
)

SENT = "Sat, 21 Nov 2026 08:00:00 GMT"
SLACK = 12 * 1024 * 1024
"""Bytes that may be on their way between two ends of a loopback connection."""
MEGABYTE = b"x" * (1024 * 1024)


def both(provider, request=None):
    """The same question asked both ways; each with its name."""
    request = request or asks()
    return [answer(provider, request), pieces_of(provider, request)]


async def works(provider) -> bool:
    return (await answer(provider, asks())).text == "Hello from the double."


async def nothing_listens() -> int:
    """A port of this machine where nobody answers."""
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


STATUSES = [
    (400, None, Code.PROVIDER_REJECTED),
    (400, {"message": "no", "code": "context_length_exceeded"}, Code.CONTEXT_TOO_LONG),
    (400, {"message": "no", "type": "exceed_context_size_error"}, Code.CONTEXT_TOO_LONG),
    (400, {"message": "This exceeds the model's context length of 8 tokens."}, Code.CONTEXT_TOO_LONG),
    (400, {"message": "no", "code": "content_filter"}, Code.PROVIDER_REFUSED),
    (400, {"message": "no", "code": 400, "type": ["odd"]}, Code.PROVIDER_REJECTED),
    (401, None, Code.PROVIDER_AUTHENTICATION),
    (402, None, Code.PROVIDER_QUOTA),
    (403, None, Code.PROVIDER_AUTHENTICATION),
    (404, None, Code.PROVIDER_REJECTED),
    (408, None, Code.PROVIDER_TIMEOUT),
    (422, "a text for an error", Code.PROVIDER_REJECTED),
    (429, None, Code.PROVIDER_RATE_LIMITED),
    (429, {"message": "no", "code": "insufficient_quota"}, Code.PROVIDER_QUOTA),
    (500, None, Code.PROVIDER_UNAVAILABLE),
    (503, None, Code.PROVIDER_UNAVAILABLE),
    (504, None, Code.PROVIDER_TIMEOUT),
]


@pytest.mark.parametrize(("status", "error", "code"), STATUSES)
async def test_a_status_means_one_code_and_the_next_request_works(provider, endpoint, status, error, code):
    for asked in both(provider):
        endpoint.then(fails(status, error))
        failed = await failure(asked)
        assert failed.code is code
        assert "'remote'" in failed.message
        assert failed.why
    assert await works(provider)
    assert len(endpoint.asked) == 3, "no request is repeated behind the caller's back"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Sat, 21 Nov 2026 08:01:30 GMT", "date": SENT}, 90.0),
        ({"retry_after": "Sat, 21 Nov 2026 07:00:00 GMT", "date": SENT}, 0.0),
        ({"retry_after": "Sat, 21 Nov 2026 08:01:30 GMT"}, None),
        ({"retry_after": "Sat, 99 Nov 2026 08:01:30 GMT", "date": SENT}, None),
    ],
)
async def test_how_long_to_wait_is_passed_on_in_seconds(provider, endpoint, status, headers, seconds):
    endpoint.then(fails(status, None, **headers))
    assert (await failure(answer(provider, asks()))).retry_after == seconds


async def test_a_refused_connection_is_unavailable(made):
    provider = made(f"http://127.0.0.1:{await nothing_listens()}/v1")
    for asked in both(provider):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert failed.why


async def test_a_host_that_no_name_server_knows_is_unavailable(made):
    for asked in both(made("http://caxton.invalid/v1")):
        assert (await failure(asked)).code is Code.PROVIDER_UNAVAILABLE


async def test_an_endpoint_without_tls_where_tls_is_asked_is_unavailable(made):
    async def plain(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        for asked in both(made(f"https://127.0.0.1:{port}/v1")):
            failed = await failure(asked)
            assert failed.code is Code.PROVIDER_UNAVAILABLE
            assert failed.why


@pytest.mark.parametrize("url", ["http://", "http:///v1", "http://[::1/v1", "http://host:99999/v1", "http://host:0/v1"])
async def test_an_address_that_is_none_is_told_with_its_setting(made, url):
    for asked in both(made(url)):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_UNAVAILABLE
        assert "base_url" in failed.message
        assert "[providers.remote]" in failed.hint


@pytest.mark.parametrize("scene", [stall, events(then=stall), events(chunk({"content": "Hel"}), then=stall)])
async def test_a_stall_ends_with_the_time_allowed_and_the_connection_is_given_up(provider, endpoint, scene):
    endpoint.then(scene)
    assert (await failure(pieces_of(provider, asks(timeout=0.1)))).code is Code.PROVIDER_TIMEOUT
    await asyncio.wait_for(endpoint.abandoned.wait(), 10)
    assert await works(provider)


async def test_a_stall_before_a_whole_answer_ends_with_the_providers_own_time_too(made, endpoint):
    provider = made(endpoint.url, timeout=0.1)
    endpoint.then(stall, stall)
    for asked in both(provider):
        failed = await failure(asked)
        assert failed.code is Code.PROVIDER_TIMEOUT
        assert "0.1 s" in failed.message
    assert await works(provider)


async def test_time_that_the_reader_takes_does_not_cut_the_stream(provider, endpoint):
    # The deadline passes while the reader has the piece; it may strike in the next wait only, as a ProviderError.
    endpoint.then(events(chunk({"content": "Hel"}), then=stall))
    pieces = provider.stream(asks(timeout=0.05))
    assert (await anext(pieces)).text == "Hel"
    await asyncio.wait_for(endpoint.stalled.wait(), 10)
    await asyncio.sleep(0.06)
    assert (await failure(anext(pieces))).code is Code.PROVIDER_TIMEOUT


async def test_a_connection_cut_in_the_middle_is_unavailable(provider, endpoint):
    for scene in reset, events(chunk({"content": "Hel"}), then=reset):
        endpoint.then(scene)
        assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    endpoint.then(reset)
    assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert await works(provider)


async def test_an_error_in_the_middle_of_a_stream_is_told_in_the_providers_words(provider, endpoint):
    for error, code in [
        ({"message": "overloaded"}, Code.PROVIDER_UNAVAILABLE),
        ({"message": "overloaded", "code": "rate_limit_exceeded"}, Code.PROVIDER_RATE_LIMITED),
        ({"message": "overloaded", "code": "insufficient_quota"}, Code.PROVIDER_QUOTA),
    ]:
        endpoint.then(events(chunk({"content": "Hel"}), json.dumps({"error": error})))
        failed = await failure(pieces_of(provider, asks()))
        assert failed.code is code
        assert failed.why == "overloaded"
    assert await works(provider)


GARBAGE = [
    b"",
    b"this is no JSON",
    b'{"choices": [{"message": {"content": "cut',
    b"<!doctype html><title>Sign in</title>",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"choices": []}',
    b'{"choices": null}',
    b'{"choices": [null]}',
    b'{"choices": [{}]}',
    b'{"choices": [{"message": null}]}',
    b'{"choices": [{"message": {"content": 42}}]}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", GARBAGE)
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
async def test_an_answer_that_is_none_is_malformed(provider, endpoint, body, content_type):
    endpoint.then(answers(body, content_type))
    failed = await failure(answer(provider, asks()))
    assert failed.code is Code.PROVIDER_MALFORMED
    assert len(failed.why) <= 500
    assert await works(provider)


@pytest.mark.parametrize(
    "data",
    [
        ["this is no JSON"],
        ['{"choices": [{"delta": {"cont'],
        ["null"],
        ['"text"'],
        ['{"choices": 42}'],
        ['{"choices": [{"delta": {"content": {}}}]}'],
        ["\udcff".encode("utf-8", "surrogateescape").decode("latin-1")],
        [],
        [DONE],
        [chunk({"content": "never finished"})],
        [chunk({"content": "never finished"}), DONE],
    ],
)
async def test_a_stream_that_is_none_or_never_finishes_is_malformed(provider, endpoint, data):
    endpoint.then(events(*data))
    assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_MALFORMED
    assert await works(provider)


async def test_bytes_that_are_no_events_are_malformed(provider, endpoint):
    for body in (bytes(range(256)) * 10, b"data: \xff\xfe\n\n", b"{}", b"<html></html>"):
        endpoint.then(answers(body, "text/event-stream"))
        assert (await failure(pieces_of(provider, asks()))).code is Code.PROVIDER_MALFORMED
    assert await works(provider)


@pytest.mark.parametrize(
    "scene",
    [
        endless(MEGABYTE, begin=b'{"choices": [{"message": {"content": "', content_type="application/json"),
        endless(MEGABYTE, begin=b"data: ", content_type="text/event-stream"),
        endless((b": " + b"waiting " * 8000 + b"\n\n") * 16, content_type="text/event-stream"),
        endless(MEGABYTE, status=500, content_type="text/plain"),
    ],
    ids=["json", "one event", "many comments", "error"],
)
async def test_an_answer_without_end_is_cut_off_and_takes_bounded_memory(provider, endpoint, scene):
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
        assert peak < 5 * LARGEST_ANSWER
    assert await works(provider)


async def test_a_compressed_answer_is_cut_off_long_before_it_could_grow_large(provider, endpoint):
    body = gzip.compress(random.Random(1).randbytes(LARGEST_ENCODED * 2))
    endpoint.then(lambda exchange: exchange.answer(200, body, {"content-encoding": "gzip"}))
    failed = await failure(answer(provider, asks()))
    assert failed.code is Code.PROVIDER_MALFORMED
    assert f"larger than {LARGEST_ENCODED} bytes" in failed.message
    assert await works(provider)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "unheard-of"])
async def test_an_answer_in_an_encoding_without_a_bound_is_malformed(provider, endpoint, encoding):
    endpoint.then(lambda exchange: exchange.answer(200, b"{}", {"content-encoding": encoding}))
    failed = await failure(answer(provider, asks()))
    assert failed.code is Code.PROVIDER_MALFORMED
    assert repr(encoding) in failed.message


async def test_a_small_compressed_answer_is_read_all_the_same(provider, endpoint):
    body = json.dumps({"choices": [{"message": {"content": "squeezed"}, "finish_reason": "stop"}]}).encode()
    endpoint.then(lambda exchange: exchange.answer(200, gzip.compress(body), {"content-encoding": "gzip"}))
    assert (await answer(provider, asks())).text == "squeezed"


async def test_a_redirect_is_followed_with_the_question_and_without_end_is_an_error(provider, endpoint):
    endpoint.then(fails(307, None, location=f"{endpoint.url}/elsewhere"))
    assert await works(provider)
    assert endpoint.asked[-1].path == "/v1/elsewhere"
    assert endpoint.asked[-1].body["messages"] == endpoint.asked[0].body["messages"]
    endpoint.then(*[fails(307, None, location=f"{endpoint.url}/round")] * 50)
    assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_UNAVAILABLE
    assert len(endpoint.asked) < 50


async def test_a_redirect_to_another_host_does_not_take_the_key_along(provider, endpoint, key):
    endpoint.then(fails(307, None, location=f"http://localhost:{endpoint.port}/v1/elsewhere"))
    await answer(provider, asks())
    assert key in endpoint.asked[0].headers["authorization"]
    assert key not in json.dumps(endpoint.asked[1].headers)


async def test_refused_content_is_told_as_such_both_ways(provider, endpoint):
    endpoint.then(
        says("", finish="content_filter"),
        says("", finish="content_filter"),
        events(chunk({"refusal": "I will "}), chunk({"refusal": "not."}, "stop"), DONE),
    )
    for asked in both(provider):
        assert (await failure(asked)).code is Code.PROVIDER_REFUSED
    failed = await failure(pieces_of(provider, asks()))
    assert failed.code is Code.PROVIDER_REFUSED
    assert failed.why == "I will not."


async def test_the_key_is_in_the_requests_header_and_nowhere_else(made, endpoint, key, caplog):
    caplog.set_level(logging.DEBUG)
    provider = made(endpoint.url)
    quoting = {"message": f"Incorrect API key provided: {key}. Also {key[:7]}*****{key[-4:]}, 'Bearer {key}'."}
    scenes = [fails(status, quoting) for status in (400, 401, 403, 429, 500)]
    scenes += [answers(f"<p>{key}</p>".encode(), "text/html"), events(json.dumps({"error": quoting})), reset]
    for scene in scenes:
        for ask in answer, pieces_of:
            endpoint.then(scene)
            failed = await failure(ask(provider, asks()))
            told = "\n".join([*traceback.format_exception(failed), repr(failed.report()), repr(vars(failed))])
            assert key not in told
            assert key[:7] not in told
    assert await works(provider)
    assert endpoint.asked[-1].headers["authorization"] == f"Bearer {key}"
    assert key not in caplog.text
    assert key not in repr(provider)


async def test_many_failures_at_once_leave_the_provider_well(provider, endpoint):
    endpoint.then(*[scene for _ in range(10) for scene in (fails(500), reset, stall, answers(b"garbage"))])
    failures = await asyncio.gather(*(failure(answer(provider, asks(timeout=0.5))) for _ in range(40)))
    assert {failed.code for failed in failures} == {
        Code.PROVIDER_UNAVAILABLE,
        Code.PROVIDER_TIMEOUT,
        Code.PROVIDER_MALFORMED,
    }
    assert await works(provider)
