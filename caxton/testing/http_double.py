"""An HTTP endpoint that does with each request what a test says.

It lives in the test's own event loop. What it does with a request is a `Scene`; the doubles of real services are made
of it, with scenes of their own protocols.
"""

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import msgspec

PHRASES = {status.value: status.phrase for status in HTTPStatus}
CHUNKED = {"transfer-encoding": "chunked"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Header names are in lower case; `body` is None where there was none."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Exchange:
    """A request under way, as a scene sees it. Whatever it sends raises ConnectionError once the client is gone."""

    def __init__(self, server: "HttpDouble", asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.asked = asked
        self._server = server
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are, no faster than they are taken."""
        self._writer.write(data)
        await self._writer.drain()
        self._server.sent += len(data)

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        await self.send("\r\n".join(lines).encode())

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer, JSON unless its headers say otherwise."""
        told = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}
        await self.head(status, told)
        await self.send(body)

    async def part(self, data: bytes) -> None:
        """A piece of a body whose head said that it comes in such; an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def hung_up(self) -> None:
        """Wait until the client is gone."""
        self._server.stalled.set()
        while await self._reader.read(65536):
            pass

    def abort(self) -> None:
        """Cut the connection without a word, as a crashed peer's system does: with a TCP reset."""
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


Scene = Callable[[Exchange], Awaitable[None]]
Aside = Callable[[Exchange], Scene | None]
"""What requests beside those that a test is about are met with; None for the others."""


class HttpDouble:
    """A running endpoint; made by `open_http_double`.

    `asked` holds the requests so far, `sent` counts the bytes of the answers. `stalled` is set once a scene waits for
    the client to go, `abandoned` once a connection ended in the middle of an answer, whoever ended it.
    """

    def __init__(self, port: int, path: str, otherwise: Scene, aside: Aside | None) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}{path}"
        self.asked: list[Asked] = []
        self.sent = 0
        self.stalled = asyncio.Event()
        self.abandoned = asyncio.Event()
        self._otherwise = otherwise
        self._aside = aside
        self._scenes: deque[Scene] = deque()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def then(self, *scenes: Scene) -> None:
        """Meet the next requests with these, one each."""
        self._scenes.extend(scenes)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in one
        self._connections[task] = writer
        try:
            while asked := await _read(reader):
                self.asked.append(asked)
                exchange = Exchange(self, asked, reader, writer)
                scene = self._aside(exchange) if self._aside else None
                if scene is None:
                    scene = self._scenes.popleft() if self._scenes else self._otherwise
                await scene(exchange)
        except (ConnectionError, asyncio.CancelledError):
            # Cancelled by `close` alone, and then there is nobody above to be told.
            self.abandoned.set()
        finally:
            del self._connections[task]
            writer.close()

    async def close(self) -> None:
        """Cut all connections."""
        for task, writer in [*self._connections.items()]:
            writer.transport.abort()
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def open_http_double(
    otherwise: Scene, *, path: str = "", aside: Aside | None = None
) -> AsyncIterator[HttpDouble]:
    """An endpoint on a loopback port, until the end of the block. What no scene was set for meets `otherwise`.

    `path` is where its API begins, for `url`. What `aside` has a scene for is met with that.
    """
    double: HttpDouble
    listener = await asyncio.start_server(lambda reader, writer: double.serve(reader, writer), "127.0.0.1", 0)
    double = HttpDouble(listener.sockets[0].getsockname()[1], path, otherwise, aside)
    try:
        yield double
    finally:
        listener.close()
        await double.close()


def answers(body: bytes, content_type: str = "application/json") -> Scene:
    """Answer 200 with these bytes."""
    return lambda exchange: exchange.answer(200, body, {"content-type": content_type})


async def stall(exchange: Exchange) -> None:
    """A scene: not a byte comes, until the client hangs up."""
    await exchange.hung_up()
    raise ConnectionAbortedError


async def reset(exchange: Exchange) -> None:
    """A scene: the connection is cut."""
    exchange.abort()
    raise ConnectionAbortedError


def endless(piece: bytes, *, begin: bytes = b"", status: int = 200, content_type: str = "text/event-stream") -> Scene:
    """Answer with `begin` and then `piece` over and over, until the client has had enough."""

    async def scene(exchange: Exchange) -> None:
        await exchange.head(status, {**CHUNKED, "content-type": content_type})
        await exchange.part(begin or piece)
        while True:
            await exchange.part(piece)

    return scene


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection, None at its end."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = lines[0].split(" ")
    return Asked(method=method, path=path, headers=headers, body=json.loads(body) if body else None)
