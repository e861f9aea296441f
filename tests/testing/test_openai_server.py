"""The double of an OpenAI endpoint: what it sends is what the test said, byte for byte, and it knows who went away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from caxton.testing.openai_server import (
    DONE,
    USAGE,
    OpenAIServer,
    answers,
    chunk,
    endless,
    events,
    fails,
    open_openai_server,
    reset,
    says,
    stall,
)

DEADLINE = 10.0
CHAT = "/v1/chat/completions"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection, spoken to in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, body: Any = None, path: str = CHAT) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        method = "POST" if data else "GET"
        self.writer.write(f"{method} {path} HTTP/1.1\r\nX-Odd:  Case \r\ncontent-length: {len(data)}\r\n\r\n".encode())
        self.writer.write(data)

    async def head(self) -> Answer:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return Answer(int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:] if line), b"")

    async def answer(self) -> Answer:
        async with asyncio.timeout(DEADLINE):
            head = await self.head()
            if "content-length" in head.headers:
                return head._replace(body=await self.reader.readexactly(int(head.headers["content-length"])))
            parts = [await self.part()]
            while parts[-1]:
                parts.append(await self.part())
            return head._replace(body=b"".join(parts))

    async def part(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAIServer]:
    async with open_openai_server() as endpoint:
        yield endpoint


@pytest.fixture
async def client(endpoint: OpenAIServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    yield Client(reader, writer)
    writer.close()


async def test_without_a_scene_it_answers_politely_over_and_over(endpoint, client):
    for _ in range(2):
        await client.ask({"messages": []})
        answer = await client.answer()
        assert answer.status == 200
        said = json.loads(answer.body)
        assert said["choices"][0]["message"]["content"] == "Hello from the double."
        assert said["usage"] == USAGE
    assert len(endpoint.asked) == 2


async def test_what_was_asked_is_kept(endpoint, client):
    await client.ask({"a": [1]})
    await client.answer()
    (asked,) = endpoint.asked
    assert (asked.method, asked.path, asked.body) == ("POST", CHAT, {"a": [1]})
    assert asked.headers["x-odd"] == "Case"


async def test_scenes_are_met_in_turn_and_then_what_was_said_for_otherwise():
    async with open_openai_server(answers(b"otherwise")) as endpoint:
        endpoint.then(answers(b"one"), fails(429, {"code": "c"}, retry_after="3"))
        client = Client(*await asyncio.open_connection("127.0.0.1", endpoint.port))
        seen = []
        for _ in range(4):
            await client.ask({})
            seen.append(await client.answer())
        assert [answer.body for answer in seen] == [b"one", b'{"error": {"code": "c"}}', b"otherwise", b"otherwise"]
        assert (seen[1].status, seen[1].headers["retry-after"]) == (429, "3")
        client.writer.close()


async def test_a_stream_is_words_an_end_the_usage_and_done(client):
    await client.ask({"stream": True})
    answer = await client.answer()
    assert answer.headers["content-type"] == "text/event-stream"
    *chunks, done = [event.removeprefix("data: ") for event in answer.body.decode().split("\n\n") if event]
    assert done == DONE
    *deltas, end, usage = map(json.loads, chunks)
    assert "".join(one["choices"][0]["delta"]["content"] for one in deltas) == "Hello from the double."
    assert len(deltas) == 4
    assert end["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]) == ([], USAGE)


async def test_it_lists_its_one_model(client):
    await client.ask(path="/v1/models")
    assert [model["id"] for model in json.loads((await client.answer()).body)["data"]] == ["double"]


async def test_a_stall_sends_nothing_until_the_client_goes(endpoint, client):
    endpoint.then(events(chunk({"content": "a"}), then=stall))
    await client.ask({"stream": True})
    async with asyncio.timeout(DEADLINE):
        await client.head()
        assert b'"a"' in await client.part()
        await endpoint.stalled.wait()
        assert not endpoint.abandoned.is_set()
        client.writer.close()
        await endpoint.abandoned.wait()


async def test_a_reset_cuts_the_connection_in_the_middle(endpoint, client):
    endpoint.then(events(chunk({"content": "a"}), then=reset))
    await client.ask({"stream": True})
    async with asyncio.timeout(DEADLINE):
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError, ValueError)):
            await client.answer()
        await endpoint.abandoned.wait()


async def test_an_endless_answer_goes_on_as_long_as_it_is_read_and_is_counted(endpoint, client):
    endpoint.then(endless(b"x" * 1024, begin=b"begin"))
    await client.ask({})
    async with asyncio.timeout(DEADLINE):
        await client.head()
        assert await client.part() == b"begin"
        for _ in range(5000):
            assert await client.part() == b"x" * 1024
        client.writer.close()
        await endpoint.abandoned.wait()
    assert endpoint.sent >= 5000 * 1024


async def test_a_connection_that_ends_between_requests_is_no_abandoned_answer(endpoint, client):
    await client.ask({})
    await client.answer()
    client.writer.close()
    again = Client(*await asyncio.open_connection("127.0.0.1", endpoint.port))
    await again.ask({})
    await again.answer()
    again.writer.close()
    assert not endpoint.abandoned.is_set()


async def test_at_its_end_it_cuts_who_is_still_there():
    async with open_openai_server(stall) as endpoint:
        client = Client(*await asyncio.open_connection("127.0.0.1", endpoint.port))
        await client.ask({})
        await asyncio.wait_for(endpoint.stalled.wait(), DEADLINE)
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
    client.writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", endpoint.port)


async def test_texts_of_spaces_and_lines_arrive_as_they_are(endpoint, client):
    for text in ("", "  ", "a\n\n b  ", "Zürich → 東京"):
        endpoint.then(says(text))
        await client.ask({"stream": True})
        data = [event.removeprefix("data: ") for event in (await client.answer()).body.decode().split("\n\n")]
        choices = [choice for one in data if one not in ("", DONE) for choice in json.loads(one)["choices"]]
        assert "".join(choice["delta"].get("content", "") for choice in choices) == text
