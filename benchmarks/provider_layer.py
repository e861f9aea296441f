"""What Caxton's layer over a provider costs, and 200 answers streamed at once.

The layer is `LanguageModels.ask` over the OpenAI provider, with ledger and database, limits, breaker and retries. It is
measured against the bare official client, as its users use it and without the objects it makes of every piece of an
answer, which we do not ask it for either. Both ask the same endpoint, in a process of its own, that answers at once.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import psutil

from benchmarks.measure import caxton, free_port, process, quantile
from caxton.domain.clock import SystemClock
from caxton.domain.completion import ChatMessage, CompletionRequest, Role
from caxton.domain.limits import ModelLimits
from caxton.domain.settings import ProviderSettings, ServerSettings
from caxton.providers.prices import KnownPrices
from caxton.providers.registry import open_providers
from caxton.runtime.ledger import open_ledger
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.storage.database import open_database
from caxton.storage.usage import SqliteUsageStore

ENDPOINT = """
import asyncio
import json
import sys

def piece(delta, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    told = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
    return b"data: %s\\n\\n" % json.dumps(told).encode()

USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello there!"}, "finish_reason": "stop"}
WHOLE = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE],
                    "usage": USAGE}).encode()
WORD = piece({"content": " word"})
END = piece({}, "stop") + piece(None, usage=USAGE) + b"data: [DONE]\\n\\n"
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\n"
STREAM = b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"

def chunked(data):
    return b"%x\\r\\n%b\\r\\n" % (len(data), data)

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            lines = head.lower().split(b"\\r\\n")
            length = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
            asked = json.loads(await reader.readexactly(length) or b"{}")
            if not asked.get("stream"):
                writer.write(ANSWER + b"content-length: %d\\r\\n\\r\\n%b" % (len(WHOLE), WHOLE))
                continue
            # The model's name says how many pieces there are, and how many milliseconds apart.
            pieces, _, apart = asked["model"].partition("@")
            if apart:
                writer.write(STREAM)
                for _ in range(int(pieces)):
                    writer.write(chunked(WORD))
                    await asyncio.sleep(int(apart) / 1000)
                writer.write(chunked(END) + b"0\\r\\n\\r\\n")
            else:
                writer.write(STREAM + chunked(WORD * int(pieces) + END) + b"0\\r\\n\\r\\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=512) as server:
        await server.serve_forever()

asyncio.run(main())
"""
CALLS, PIECES, STREAMS, ROUNDS = 20, 400, 5, 40
CROWD, APART = 200, 100
MESSAGES = (ChatMessage(Role.SYSTEM, "You are brief."), ChatMessage(Role.USER, "Say hello to everybody."))
STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
AGENT = """
name = "bench"
system_prompt = "You are brief."
llm_provider = "{provider}"
[llm]
model = "{model}"
[resources]
concurrent_turns = 400
"""
SETTINGS = """
[providers.scripted]
kind = "scripted"
[providers.endpoint]
kind = "openai"
base_url = "{url}/v1"
"""


@asynccontextmanager
async def layer(url: str, folder: Path) -> AsyncIterator[LanguageModels]:
    """The layer as a server has it, with one provider."""
    limits = ModelLimits(concurrent=64, daily_tokens=1_000_000_000)
    provider = ProviderSettings(name="endpoint", kind="openai", base_url=f"{url}/v1", limits=limits)
    settings = ServerSettings(data_dir=folder, agents_dir=folder, providers={"endpoint": provider})
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        prices = KnownPrices(settings.providers)
        ledger = await stack.enter_async_context(
            open_ledger(store=SqliteUsageStore(database), prices=prices, clock=clock)
        )
        providers = await stack.enter_async_context(open_providers(settings, {}))
        yield LanguageModels(providers=providers, settings=settings.providers, ledger=ledger, clock=clock)


def bare(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", http_client=openai.DefaultAsyncHttpxClient())


def body(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": one.role.value, "content": one.content} for one in MESSAGES]}


def asker(client: openai.AsyncOpenAI) -> Callable[[], Awaitable[None]]:
    """One whole answer, as the client's users ask for it."""

    async def ask() -> None:
        answer = await client.chat.completions.create(**body("m"))
        assert answer.choices[0].message.content

    return ask


def raw_asker(client: openai.AsyncOpenAI) -> Callable[[], Awaitable[None]]:
    """The same without the client's objects: the JSON as it is."""

    async def ask() -> None:
        answer: Any = await client.post("/chat/completions", body=body("m"), cast_to=object)
        assert answer["choices"][0]["message"]["content"]

    return ask


def streamer(client: openai.AsyncOpenAI) -> Callable[[], Awaitable[None]]:
    """One streamed answer, as the client's users read it."""

    async def ask() -> None:
        text: list[str] = []
        async with await client.chat.completions.create(**body(str(PIECES)), **STREAMED) as pieces:
            async for piece in pieces:
                text += [one.delta.content for one in piece.choices if one.delta.content]
        assert len(text) == PIECES

    return ask


def raw_streamer(client: openai.AsyncOpenAI) -> Callable[[], Awaitable[None]]:
    """The same without the client's objects."""

    async def ask() -> None:
        text: list[str] = []
        async with await client.post(
            "/chat/completions",
            body=body(str(PIECES)) | STREAMED,
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        ) as pieces:
            async for piece in pieces:
                text += [one["delta"]["content"] for one in piece["choices"] if "content" in one["delta"]]
        assert len(text) == PIECES

    return ask


def through(models: LanguageModels, model: str, *, streamed: bool) -> Callable[[], Awaitable[None]]:
    """One answer through the layer."""
    call = ModelCall(
        provider="endpoint",
        request=CompletionRequest(messages=MESSAGES, model=model),
        prompt_tokens=9,
        agent="bench",
        conversation_id="c",
        limits=ModelLimits(concurrent=64),
    )

    async def ask() -> None:
        text: list[str] = []
        completion = await models.ask(call, text.append if streamed else None)
        assert completion.text
        assert not streamed or len(text) == int(model)

    return ask


async def lasts(work: Callable[[], Awaitable[None]], times: int) -> tuple[float, float]:
    """Seconds for one, by the wall's clock and by this process's."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await work()
    return (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times


async def compare(
    what: str, ours: Callable[[], Awaitable[None]], theirs: Callable[[], Awaitable[None]], times: int, parts: int = 1
) -> None:
    """Print the difference, pair by pair, for each of an answer's parts."""
    await lasts(ours, times)
    await lasts(theirs, times)
    pairs = []
    for number in range(ROUNDS):
        # Who comes first changes, so that a drift of the machine falls on both.
        order = (ours, theirs) if number % 2 else (theirs, ours)
        taken = {work: await lasts(work, times) for work in order}
        pairs.append((taken[ours], taken[theirs]))
    wall, cpu = (statistics.median((one[by] - other[by]) / parts for one, other in pairs) * 1e6 for by in (0, 1))
    whole = statistics.median(other[0] / parts for _, other in pairs) * 1e6
    ratio = statistics.median(one[0] / other[0] for one, other in pairs)
    print(f"{what}: {wall:+.1f} µs on its {whole:.0f} µs ({ratio:.2f} times; processor {cpu:+.1f} µs)")


async def overhead(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with layer(url, Path(folder)) as models, bare(url) as client:
            asks, streams = through(models, "m", streamed=False), through(models, str(PIECES), streamed=True)
            await compare("a call, against the client", asks, asker(client), CALLS)
            await compare("a call, against the client without its objects", asks, raw_asker(client), CALLS)
            await compare("a streamed chunk, against the client", streams, streamer(client), STREAMS, PIECES)
            without = "a streamed chunk, against the client without its objects"
            await compare(without, streams, raw_streamer(client), STREAMS, PIECES)


async def crowd(url: str, pieces: int) -> tuple[list[float], float]:
    """The seconds between chunks of as many streams at once, and chunks a second of all together."""
    parts = urlsplit(url)
    body = b'{"text": "%s", "history": []}' % b" ".join([b"word"] * pieces)
    head = "POST /agents/bench/message HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    gaps: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
        writer.write(head.encode() + body)
        status = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in status[:20], status
        last, came = None, 0
        while True:
            line = await reader.readuntil(b"\n")
            if line.startswith(b"event: delta"):
                now = time.perf_counter()
                if last is not None:
                    gaps.append(now - last)
                last, came = now, came + 1
            elif line.startswith((b"event: reply", b"event: error")):
                assert line.startswith(b"event: reply"), await reader.readuntil(b"\n")
                break
        assert came >= pieces, came
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CROWD)))
    return gaps, (len(gaps) + CROWD) / (time.perf_counter() - began)


def streams(endpoint: str) -> None:
    settings = SETTINGS.format(url=endpoint)
    for what, provider, model, pieces in [
        ("as fast as they go", "scripted", "m", 200),
        (f"from an endpoint that sends a chunk every {APART} ms", "endpoint", f"100@{APART}", 100),
    ]:
        with caxton(settings, {"bench": AGENT.format(provider=provider, model=model)}) as (url, _, pid, _):
            asyncio.run(crowd(url, pieces))
            server = psutil.Process(pid)
            before = sum(server.cpu_times()[:2])
            gaps, rate = asyncio.run(crowd(url, pieces))
            spent = (sum(server.cpu_times()[:2]) - before) / (len(gaps) + CROWD)
        p50, p99 = (quantile(gaps, q) * 1e3 for q in (0.5, 0.99))
        print(
            f"{CROWD} streams at once, {what}: {rate:.0f} chunks/s, "
            f"gap p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(gaps) * 1e3:.0f} ms, "
            f"{spent * 1e6:.0f} µs of the server's processor a chunk"
        )


def main() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with process([sys.executable, "-c", ENDPOINT, str(port)], f"{url}/"):
        asyncio.run(overhead(url))
        streams(url)


if __name__ == "__main__":
    main()
