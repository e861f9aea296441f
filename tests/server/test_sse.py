"""Streamed replies, on the wire."""

import asyncio
import json

import pytest
from support.http import EVENTS, REPLY, say

from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.service.api.messages import ReplyDelta

MESSAGE = "/agents/my-agent/message"
STREAMED = {"accept": "text/event-stream"}
HEAD = f"POST {MESSAGE} HTTP/1.1\nhost: localhost\naccept: text/event-stream\ncontent-length: 5"


class Tap:
    """A stream of the replies' events that waits after the first one, and tells when it was closed."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()

    async def __call__(self):
        try:
            yield EVENTS[0]
            await self.go_on.wait()
            for event in EVENTS[1:]:
                yield event
        finally:
            # Letting go of something may itself take a while.
            for _ in range(5):
                await asyncio.sleep(0)
            self.closed.set()


def events(body: str) -> list[tuple[str, dict]]:
    """Name and data of each event, comments left out."""
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(field["event"], json.loads(field["data"])) for field in fields]


def test_a_reply_streams_as_start_deltas_and_the_whole(http, messages):
    answer = http.post(MESSAGE, json={"text": "Hello"}, headers=STREAMED)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    told = events(answer.text)
    assert [name for name, _ in told] == ["start", "delta", "delta", "reply"]
    assert told[0][1] == {"in_reply_to": REPLY.in_reply_to, "agent": "my-agent", "conversation_id": "user:my-agent"}
    assert "".join(data["text"] for name, data in told if name == "delta") == told[-1][1]["text"]
    assert messages.calls[0][0] == "stream"


def test_who_does_not_ask_for_events_gets_the_reply_whole(http, messages):
    answer = http.post(MESSAGE, json={"text": "Hello"}, headers={"accept": "application/json, */*"})
    assert answer.json()["text"] == REPLY.text
    assert messages.calls[0][0] == "send"


def test_line_ends_in_the_text_do_not_end_the_event(http, messages):
    messages.streamed = lambda: say(EVENTS[0], ReplyDelta(text="one\n\ntwo\r\nevent: reply"), REPLY)
    told = events(http.post(MESSAGE, content="Hello", headers=STREAMED).text)
    assert told[1] == ("delta", {"text": "one\n\ntwo\r\nevent: reply"})


def test_an_error_before_the_first_event_is_an_ordinary_problem(http, messages):
    messages.streamed = lambda: say(CaxtonError(Code.AGENT_NOT_FOUND, "There is no agent 'my-agent'."))
    answer = http.post(MESSAGE, content="Hello", headers=STREAMED)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_error_in_the_middle_is_an_event_with_the_problem(http, messages):
    failure = ProviderError(Code.PROVIDER_TIMEOUT, "No answer within 60 s.", why="it said nothing")
    messages.streamed = lambda: say(EVENTS[0], EVENTS[1], failure)
    answer = http.post(MESSAGE, content="Hello", headers=STREAMED)
    assert answer.status_code == 200
    name, problem = events(answer.text)[-1]
    assert name == "error"
    assert (problem["code"], problem["status"], problem["why"]) == ("provider_timeout", 504, "it said nothing")


def test_a_crash_in_the_middle_is_told_without_its_insides(http, messages, caplog):
    messages.streamed = lambda: say(EVENTS[0], RuntimeError("secret inside"))
    name, problem = events(http.post(MESSAGE, content="Hello", headers=STREAMED).text)[-1]
    assert (name, problem["code"]) == ("error", "internal")
    assert "secret" not in json.dumps(problem)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info
    assert problem["detail"].split()[-1].rstrip(".") in record.getMessage()


def test_a_crash_before_the_first_event_is_an_ordinary_problem(http, messages):
    messages.streamed = lambda: say(RuntimeError("secret inside"))
    answer = http.post(MESSAGE, content="Hello", headers=STREAMED)
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_events_are_sent_as_they_come(wire, messages):
    messages.streamed = tap = Tap()
    async with wire.request(HEAD, b"Hello") as reader, asyncio.timeout(10):
        assert b"event: start" in await reader.readuntil(b'"conversation_id":"user:my-agent"}\n\n')
        tap.go_on.set()
        assert b"event: reply" in await reader.readuntil(b"0\r\n\r\n")


async def test_a_silent_stream_is_kept_open_by_comments(wire, messages, monkeypatch):
    monkeypatch.setattr("caxton.server.sse.HEARTBEAT", 0.01)
    messages.streamed = tap = Tap()
    async with wire.request(HEAD, b"Hello") as reader, asyncio.timeout(10):
        await reader.readuntil(b"event: start")
        await reader.readuntil(b"\n: ")
        await reader.readuntil(b"\n: ")
        tap.go_on.set()
        rest = (await reader.readuntil(b"0\r\n\r\n")).decode()
    assert "event: reply" in rest


async def test_a_stream_whose_first_event_is_late_begins_without_it(wire, messages, monkeypatch):
    monkeypatch.setattr("caxton.server.sse.HEARTBEAT", 0.01)
    go_on = asyncio.Event()

    async def late():
        await go_on.wait()
        raise CaxtonError(Code.SERVER_STOPPING, "The server stops before this message could be answered.")
        yield

    messages.streamed = late
    async with wire.request(HEAD, b"Hello") as reader, asyncio.timeout(10):
        assert b"200 OK" in await reader.readuntil(b"\n: ")
        go_on.set()
        assert b'"code":"server_stopping"' in await reader.readuntil(b"0\r\n\r\n")


async def test_a_client_that_hangs_up_closes_the_stream_and_leaves_the_server_well(wire, messages, caplog):
    messages.streamed = tap = Tap()
    async with wire.request(HEAD, b"Hello") as reader:
        await reader.readuntil(b"event: start")
    await asyncio.wait_for(tap.closed.wait(), 10)
    async with wire.request("GET /health HTTP/1.1\nhost: localhost") as reader:
        assert (await wire.answer(reader)).status == 200
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_client_that_hangs_up_before_the_first_event_closes_the_stream(wire, messages, monkeypatch):
    monkeypatch.setattr("caxton.server.sse.HEARTBEAT", 0.01)
    started, closed = asyncio.Event(), asyncio.Event()

    async def never():
        try:
            started.set()
            await asyncio.Event().wait()
            yield
        finally:
            closed.set()

    messages.streamed = never
    async with wire.request(HEAD, b"Hello"):
        await asyncio.wait_for(started.wait(), 10)
    await asyncio.wait_for(closed.wait(), 10)


async def test_a_client_that_does_not_read_is_waited_for_and_may_hang_up(wire, messages):
    blocked, closed = asyncio.Event(), asyncio.Event()
    told = []

    async def endless():
        try:
            yield EVENTS[0]
            while len(told) < 1000:
                told.append(asyncio.get_running_loop().call_later(0.3, blocked.set))
                yield ReplyDelta(text="x" * 100_000)
                told[-1].cancel()
        finally:
            closed.set()

    messages.streamed = endless
    async with wire.request(HEAD, b"Hello"):
        await asyncio.wait_for(blocked.wait(), 30)
        assert len(told) < 1000, "the server buffers what nobody reads"
        assert not closed.is_set()
    await asyncio.wait_for(closed.wait(), 10)


ACCEPTS = ["text/event-stream", "text/event-stream, application/json", "application/json, text/event-stream;q=0.9"]


@pytest.mark.parametrize("accept", ACCEPTS)
def test_events_may_be_asked_for_beside_other_types(http, accept):
    answer = http.post(MESSAGE, content="Hello", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream")
