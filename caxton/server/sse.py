"""Server-Sent Events (WHATWG HTML §9.2): an answer as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from caxton.domain.errors import CaxtonError
from caxton.server.problems import crash, problem
from caxton.service.api.operation import Operation

T = TypeVar("T")

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nothing between us and the client hangs up."""
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def event_stream(
    request: Request,
    events: AsyncGenerator[T],
    encode: Callable[[T], bytes],
    fail: Callable[[CaxtonError], bytes],
    end: bytes = b"",
) -> Response:
    """A response that carries the events, each as `encode` writes it, then `end`.

    An error before the first event is raised here, as for any request; a later one is sent as `fail` writes it. A
    client that hangs up closes the events.
    """
    first = asyncio.ensure_future(anext(events, None))
    try:
        await asyncio.wait([first], timeout=HEARTBEAT)
        if first.done():
            first.result()
    except BaseException:
        await _close(first, events)
        raise
    return EventStream(request, events, first, encode, fail, end)


class EventStream(Response, Generic[T]):
    """Sends the events from `upcoming` on, until they end, fail or the client hangs up; then closes them.

    Starlette's own streaming response leaves the closing to the garbage collector, and cancels it where it takes time.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        events: AsyncGenerator[T],
        upcoming: asyncio.Future[T | None],
        encode: Callable[[T], bytes],
        fail: Callable[[CaxtonError], bytes],
        end: bytes,
    ) -> None:
        self.status_code = 200
        self.init_headers(HEADERS)
        self._request = request
        self._events = events
        self._upcoming = upcoming
        self._encode = encode
        self._fail = fail
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone: asyncio.Future[None] = asyncio.ensure_future(_hang_up(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            more = True
            while more and not gone.done():
                either: set[asyncio.Future[Any]] = {self._upcoming, gone}
                await asyncio.wait(either, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                chunk, more = self._next() if self._upcoming.done() else (b": waiting\n\n", True)
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        finally:
            gone.cancel()
            await _close(self._upcoming, self._events)

    def _next(self) -> tuple[bytes, bool]:
        """What the event that came is written as, and whether others follow."""
        try:
            event = self._upcoming.result()
        except CaxtonError as error:
            return self._fail(error), False
        except Exception as error:
            return self._fail(crash(self._request, error)), False
        if event is None:
            return self._end, False
        self._upcoming = asyncio.ensure_future(anext(self._events, None))
        return self._encode(event), True


async def _hang_up(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close(upcoming: asyncio.Future[T | None], events: AsyncGenerator[T]) -> None:
    """Stop waiting for the next event, and close what they come from."""
    upcoming.cancel()
    await asyncio.gather(upcoming, return_exceptions=True)
    await events.aclose()


def event_encoder(operation: Operation) -> Callable[[object], bytes]:
    """What writes the events of an operation: `event:` and its name, `data:` and its JSON, `id:` where one goes on."""
    names = {kind: name.encode() for name, kind in operation.events.items()}
    encode = msgspec.json.Encoder().encode

    def write(event: object) -> bytes:
        return b"event: %s\ndata: %s\n\n" % (names[type(event)], encode(event))

    def numbered(event: object) -> bytes:
        place = getattr(event, "id", None)
        return b"id: %s\n%s" % (place.encode(), write(event)) if place else write(event)

    return numbered if operation.endless else write


def encode_error_event(error: CaxtonError) -> bytes:
    """`event: error` with the problem as data."""
    return b"event: error\ndata: %s\n\n" % msgspec.json.encode(problem(error))
