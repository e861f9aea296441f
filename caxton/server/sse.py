"""Server-Sent Events (WHATWG HTML §9.2): a reply as it comes."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

import msgspec
from starlette.responses import StreamingResponse

from caxton.domain.errors import CaxtonError, Code
from caxton.server.problems import problem
from caxton.service.api.messages import Reply, ReplyDelta, ReplyEvent, ReplyStarted

T = TypeVar("T")

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nothing between us and the client hangs up."""
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
NAMES: dict[type, str] = {ReplyStarted: "start", ReplyDelta: "delta", Reply: "reply"}


async def event_stream(
    events: AsyncGenerator[T], encode: Callable[[T], bytes], fail: Callable[[CaxtonError], bytes], end: bytes = b""
) -> StreamingResponse:
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

    async def body() -> AsyncIterator[bytes]:
        upcoming = first
        try:
            while True:
                done, _ = await asyncio.wait([upcoming], timeout=HEARTBEAT)
                if not done:
                    yield b": waiting\n\n"
                    continue
                event = upcoming.result()
                if event is None:
                    yield end
                    return
                yield encode(event)
                upcoming = asyncio.ensure_future(anext(events, None))
        except CaxtonError as error:
            yield fail(error)
        except Exception:
            log.exception("a stream broke off")
            yield fail(CaxtonError(Code.INTERNAL, "The server failed in the middle of this answer."))
        finally:
            await _close(upcoming, events)

    return StreamingResponse(body(), media_type="text/event-stream", headers=HEADERS)


async def _close(upcoming: asyncio.Future[T | None], events: AsyncGenerator[T]) -> None:
    """Stop waiting for the next event, and close what they come from."""
    upcoming.cancel()
    await asyncio.gather(upcoming, return_exceptions=True)
    await events.aclose()


def encode_reply_event(event: ReplyEvent) -> bytes:
    """`event: start|delta|reply` with its data in JSON."""
    return b"event: %s\ndata: %s\n\n" % (NAMES[type(event)].encode(), msgspec.json.encode(event))


def encode_error_event(error: CaxtonError) -> bytes:
    """`event: error` with the problem as data."""
    return b"event: error\ndata: %s\n\n" % msgspec.json.encode(problem(error))
