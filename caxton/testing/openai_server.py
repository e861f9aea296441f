"""An endpoint that speaks the OpenAI protocol, or breaks it, as a test says.

Without a scene it answers politely:

    async with open_openai_server() as server:
        server.then(fails(429, {"code": "insufficient_quota"}))
        ...  # the first request meets that, the second is answered
"""

import re
from contextlib import AbstractAsyncContextManager
from typing import Any

from caxton.testing.http_double import (
    CHUNKED,
    Exchange,
    HttpDouble,
    Scene,
    answers,
    as_json,
    endless,
    open_http_double,
    reset,
    stall,
)

__all__ = [
    "DONE",
    "MODEL",
    "USAGE",
    "Exchange",
    "OpenAIServer",
    "Scene",
    "answers",
    "calls",
    "chunk",
    "endless",
    "events",
    "fails",
    "open_openai_server",
    "reset",
    "says",
    "stall",
]

MODEL = "double"
USAGE = {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}
DONE = "[DONE]"
OpenAIServer = HttpDouble


def open_openai_server(otherwise: Scene | None = None) -> AbstractAsyncContextManager[OpenAIServer]:
    """An endpoint on a loopback port, until the end of the block. What no scene was set for meets `otherwise`."""
    return open_http_double(otherwise or says(), path="/v1")


def says(text: str = "Hello from the double.", *, finish: str | None = "stop") -> Scene:
    """Answer with this text, word by word or whole as asked; name the one model where that is asked."""

    async def scene(exchange: Exchange) -> None:
        if exchange.asked.path.endswith("/models"):
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "caxton"}
            await exchange.answer(200, as_json({"object": "list", "data": [model]}))
        elif exchange.asked.body.get("stream"):
            pieces = [chunk({"content": piece}) for piece in re.findall(r"\s*\S+|\s+", text)]
            await events(*pieces, chunk({}, finish), chunk(None, usage=USAGE), DONE)(exchange)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
            await exchange.answer(200, as_json({"model": MODEL, "choices": [choice], "usage": USAGE}))

    return scene


def calls(*made: tuple[str, str], fragment: int = 5) -> Scene:
    """Call these tools, pairs of a name and the JSON of its arguments, at once.

    Streamed, the arguments come in fragments of that many characters, in turns: one of each call, and so on.
    """

    async def scene(exchange: Exchange) -> None:
        if not exchange.asked.body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": [_call(*one) for one in enumerate(made)]}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
            await exchange.answer(200, as_json({"model": MODEL, "choices": [choice], "usage": USAGE}))
            return
        begun = [_call(place, (name, "")) for place, (name, _) in enumerate(made)]
        pieces = [chunk({"content": None, "tool_calls": begun})]
        for start in range(0, max(len(arguments) for _, arguments in made), fragment):
            pieces += [
                chunk(
                    {"tool_calls": [{"index": place, "function": {"arguments": arguments[start : start + fragment]}}]}
                )
                for place, (_, arguments) in enumerate(made)
                if start < len(arguments)
            ]
        await events(*pieces, chunk({}, "tool_calls"), chunk(None, usage=USAGE), DONE)(exchange)

    return scene


def _call(place: int, made: tuple[str, str]) -> dict[str, Any]:
    name, arguments = made
    return {"index": place, "id": f"id-{place}", "type": "function", "function": {"name": name, "arguments": arguments}}


def fails(status: int, error: object = None, **headers: str) -> Scene:
    """Answer with this status, and this as the error in the body. Underscores in header names stand for hyphens."""

    async def scene(exchange: Exchange) -> None:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.answer(status, as_json({"error": error or {"message": "the double says no"}}), told)

    return scene


def events(*data: str, then: Scene | None = None) -> Scene:
    """Stream these events, then end, or go on with another scene: `stall`, `reset`."""

    async def scene(exchange: Exchange) -> None:
        await exchange.head(200, {**CHUNKED, "content-type": "text/event-stream"})
        for one in data:
            await exchange.part(f"data: {one}\n\n".encode())
        if then:
            await then(exchange)
        await exchange.part(b"")

    return scene


def chunk(delta: object, finish: str | None = None, *, usage: object = None) -> str:
    """The data of one chunk of a streamed answer; without choices where `delta` is None."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return as_json({"object": "chat.completion.chunk", "model": MODEL, "choices": choices, "usage": usage}).decode()
