"""The feed of events by WebSocket (RFC 6455): `/events/ws`, with the query of `GET /events`.

Every text frame of the server is one event as JSON, as in `GET /events`, its name as `type`. One of the client is what
it wants to hear of from now on, as a JSON object with the fields of the query; an `open` event says that this holds, an
`error` event what is wrong with it.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from caxton.domain.errors import CaxtonError, Code
from caxton.server.bodies import decode
from caxton.server.gate import Gate
from caxton.server.problems import Problem, problem, problem_response
from caxton.server.queries import read_query
from caxton.service.api.events import STREAM, EventsQuery, FeedEvent
from caxton.service.events import EventService, Wish

PATH = "/events/ws"
LONGEST_FRAME = 64 * 1024
"""Bytes that a client may send at once."""
GOING_AWAY = 1001
"""RFC 6455 §7.4.1: the server stops."""


class ErrorEvent(msgspec.Struct, frozen=True, tag="error"):
    """What the client sent is not understood; what it wanted before still holds."""

    problem: Problem


def events_route(service: EventService, gate: Gate) -> WebSocketRoute:
    """The route of the feed. What cannot be served is refused before the handshake, with a problem document."""

    async def endpoint(websocket: WebSocket) -> None:
        try:
            gate.check()
            wish = Wish(EventsQuery(**read_query(websocket, STREAM)))
            events = service.follow(wish)
            # The first one is there at once: whoever may not read is told so here.
            first = await anext(events)
        except CaxtonError as error:
            await websocket.send_denial_response(problem_response(error))
            return
        await websocket.accept()
        tasks = [asyncio.create_task(_tell(websocket, first, events)), asyncio.create_task(_listen(websocket, wish))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except WebSocketDisconnect:
            pass  # in the middle of a frame
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await events.aclose()

    return WebSocketRoute(PATH, endpoint)


async def _tell(websocket: WebSocket, first: FeedEvent, events: AsyncGenerator[FeedEvent]) -> None:
    """Send the events until they end, which they do when the server stops."""
    await _send(websocket, first)
    async for event in events:
        await _send(websocket, event)
    await websocket.close(GOING_AWAY, "the server stops")


async def _listen(websocket: WebSocket, wish: Wish) -> None:
    """Heed what the client wants to hear of, until it hangs up."""
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        try:
            wish.change(decode(_text(message), EventsQuery))
        except CaxtonError as error:
            await _send(websocket, ErrorEvent(problem(error)))


def _text(frame: Mapping[str, Any]) -> str:
    text: str | None = frame.get("text")
    if text is None:
        raise CaxtonError(Code.BODY_INVALID, "A frame of bytes is not read here.", hint="Send JSON as text.")
    return text


async def _send(websocket: WebSocket, event: object) -> None:
    await websocket.send_text(msgspec.json.encode(event).decode())
