"""Services that answer as a test says, and a server on a socket that is spoken to in bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn

from caxton.domain.completion import FinishReason, Usage
from caxton.service.api.messages import Reply, ReplyDelta, ReplyStarted

REQUEST_ID = "0193b5c4-7a00-7000-8000-000000000001"
REPLY = Reply(
    id="0193b5c4-7a01-7000-8000-000000000002",
    in_reply_to=REQUEST_ID,
    agent="my-agent",
    conversation_id="user:my-agent",
    text="Hello there",
    provider="local",
    model="some-model",
    finish_reason=FinishReason.STOP,
    usage=Usage(prompt_tokens=7, completion_tokens=2),
    duration=0.5,
    created_at=1_733_900_000.5,
)
EVENTS = (
    ReplyStarted(in_reply_to=REQUEST_ID, agent="my-agent", conversation_id="user:my-agent"),
    ReplyDelta(text="Hello"),
    ReplyDelta(text=" there"),
    REPLY,
)


class FakeService:
    """The object behind one noun. A verb answers what `answers` has for it: a value, an error to raise, a function."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        self.streamed: Callable[[], AsyncIterator[Any]] = lambda: say(*EVENTS)

    @property
    def last(self) -> dict[str, Any]:
        """The arguments of the last call."""
        return self.calls[-1][1]

    def __getattr__(self, verb: str) -> Any:
        async def carry_out(**arguments: Any) -> Any:
            self.calls.append((verb, arguments))
            answer = self.answers.get(verb, {"verb": verb})
            if isinstance(answer, BaseException):
                raise answer
            return answer(**arguments) if callable(answer) else answer

        return carry_out

    async def stream(self, **arguments: Any) -> AsyncIterator[Any]:
        self.calls.append(("stream", arguments))
        async for event in self.streamed():
            yield event


async def say(*events: Any) -> AsyncIterator[Any]:
    """A stream of these events; an exception among them is raised."""
    for event in events:
        if isinstance(event, BaseException):
            raise event
        yield event


class Answer(NamedTuple):
    """What came back over the wire, up to the end of the connection or of the first body with a length."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A real server on a socket, spoken to in bytes."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        self.port = port
        self.server = server
        self.url = f"http://127.0.0.1:{port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    @asynccontextmanager
    async def request(self, head: str, body: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
        """The answer's bytes to a request of these lines; the connection is cut at the end of the block."""
        reader, writer = await self.connect()
        try:
            writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
            yield reader
        finally:
            writer.close()
            await writer.wait_closed()

    async def answer(self, reader: asyncio.StreamReader) -> Answer:
        """One whole answer that has a content length."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        return Answer(int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"])))
