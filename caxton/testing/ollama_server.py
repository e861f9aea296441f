"""An endpoint that speaks Ollama's protocol, or breaks it, as a test says.

It is a double: Ollama's server is in none of the package registries that the tests may use. What it says and how is
written after the protocol's documentation (https://docs.ollama.com/api), and nothing but that documentation vouches
for it. Without a scene it answers politely, and tells of its models:

    async with open_ollama_server() as server:
        server.then(fails(404, "model 'x' not found"))
        ...  # the first request meets that, the second is answered
"""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from caxton.testing.http_double import CHUNKED, Exchange, HttpDouble, Scene, as_json, open_http_double

MODEL = "double:latest"
MODELS: Mapping[str, Mapping[str, Any]] = {
    "embedder:latest": {
        "capabilities": ["embedding"],
        "model_info": {"general.architecture": "bert", "bert.context_length": 512},
    },
    MODEL: {
        "capabilities": ["completion", "tools", "vision"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    },
    "plain:latest": {
        "capabilities": ["completion"],
        "model_info": {"general.architecture": "llama", "llama.context_length": 2048},
        "parameters": 'stop                           "<|eot|>"\nnum_ctx                        1024',
    },
}
"""What it has, the newest first, as `/api/show` tells of them."""
WHEN = "2026-11-21T08:00:00Z"
COUNTS = {"prompt_eval_count": 7, "eval_count": 4, "total_duration": 9, "load_duration": 1}
LAYER = "pulling 8eeb52dfb3bb"


def open_ollama_server(otherwise: Scene | None = None) -> AbstractAsyncContextManager[HttpDouble]:
    """An endpoint on a loopback port, until the end of the block.

    Questions about models are answered as they are, and are not counted as scenes' requests. Whatever else no scene was
    set for meets `otherwise`.
    """
    return open_http_double(otherwise or says(), aside=_about_models)


def says(text: str = "Hello from the double.", *, finish: str = "stop") -> Scene:
    """Answer with this text, word by word or whole as asked."""

    async def scene(exchange: Exchange) -> None:
        pieces = [piece({"content": word}) for word in re.findall(r"\s*\S+|\s+", text)]
        await _tell(exchange, pieces, {"content": text}, finish)

    return scene


def calls(*made: tuple[str, Mapping[str, Any]]) -> Scene:
    """Call these tools, pairs of a name and its arguments. Ollama sends calls whole, and without ids."""
    written = [{"function": {"name": name, "arguments": arguments}} for name, arguments in made]

    async def scene(exchange: Exchange) -> None:
        pieces = [piece({"content": "", "tool_calls": [call]}) for call in written]
        await _tell(exchange, pieces, {"content": "", "tool_calls": written}, "stop")

    return scene


def fails(status: int, error: str = "the double says no", **headers: str) -> Scene:
    """Answer with this status, and this as the error in the body. Underscores in header names stand for hyphens."""

    async def scene(exchange: Exchange) -> None:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        await exchange.answer(status, as_json({"error": error}), told)

    return scene


def lines(*values: Any, then: Scene | None = None) -> Scene:
    """Stream these, each on a line: values as JSON, bytes as they are. Then end, or go on with another scene."""

    async def scene(exchange: Exchange) -> None:
        await exchange.head(200, {**CHUNKED, "content-type": "application/x-ndjson"})
        for value in values:
            await exchange.part((value if isinstance(value, bytes) else as_json(value)) + b"\n")
        if then:
            await then(exchange)
        await exchange.part(b"")

    return scene


def pulls(total: int = 300, *, then: Scene | None = None) -> Scene:
    """Report a pull of one file of that many bytes, which succeeds; or that goes on with another scene."""
    began: list[dict[str, Any]] = [
        {"status": "pulling manifest"},
        {"status": LAYER, "digest": "sha256:8eeb52dfb3bb", "total": total},
    ]
    parts = [{**began[1], "completed": completed} for completed in (total // 3, total)]
    ended = [{"status": status} for status in ("verifying sha256 digest", "writing manifest", "success")]
    return lines(*began, *parts, then=then) if then else lines(*began, *parts, *ended)


def piece(message: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """One line of a streamed answer."""
    return {"model": MODEL, "created_at": WHEN, "message": {"role": "assistant", **message}, "done": False, **others}


def last(finish: str = "stop") -> dict[str, Any]:
    """The line that ends a streamed answer."""
    return piece({"content": ""}, done=True, done_reason=finish, **COUNTS)


async def _tell(exchange: Exchange, pieces: list[dict[str, Any]], message: Mapping[str, Any], finish: str) -> None:
    if exchange.asked.body.get("stream", True):
        await lines(*pieces, last(finish))(exchange)
    else:
        await exchange.answer(200, as_json(piece(message, done=True, done_reason=finish, **COUNTS)))


def _about_models(exchange: Exchange) -> Scene | None:
    """How a question about models is answered; None for other requests."""
    if exchange.asked.path == "/api/tags":
        models = [{"name": name, "model": name, "modified_at": WHEN, "size": 1} for name in MODELS]
        return lambda exchange: exchange.answer(200, as_json({"models": models}))
    if exchange.asked.path == "/api/show":
        asked = exchange.asked.body["model"]
        shown = MODELS.get(asked) or MODELS.get(f"{asked}:latest")
        if shown is None:
            return fails(404, f"model '{asked}' not found")
        return lambda exchange: exchange.answer(200, as_json(shown))
    return None
