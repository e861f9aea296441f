"""A message over HTTP with a model that answers at once, against a bare Starlette echo under the same server.

Both are driven by the same client process, one connection for latency and 32 for throughput. A stored message waits for
the disk twice (accepted, answered); one whose history the caller brings is kept in memory only.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import caxton, free_port, process, quantile

ECHO = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def echo(request):
    return Response(await request.body(), media_type="application/json")

app = Starlette(routes=[Route("/agents/bench/message", echo, methods=["GET", "POST"])])
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_config=None, lifespan="off", ws="none")
"""
STORED = b'{"text": "Hello", "conversation_id": "new"}'
IN_MEMORY = b'{"text": "Hello", "history": []}'
ROUNDS, REQUESTS, CONNECTIONS = 5, 2000, 32


async def drive(url: str, body: bytes, connections: int, requests: int) -> list[float]:
    """Seconds of each request, sent over so many connections at once."""
    parts = urlsplit(url)
    head = (
        f"POST /agents/bench/message HTTP/1.1\r\nhost: {parts.hostname}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    waits: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in range(requests // connections):
            began = time.perf_counter()
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in answer[:20], answer
            length = next(line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            waits.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(connections)))
    return waits


def rate(url: str, body: bytes) -> float:
    began = time.perf_counter()
    asyncio.run(drive(url, body, CONNECTIONS, REQUESTS))
    return REQUESTS / (time.perf_counter() - began)


def latency(url: str, body: bytes) -> list[float]:
    return asyncio.run(drive(url, body, 1, 500))


def report(name: str, url: str, echo: str, body: bytes) -> None:
    rate(url, body), rate(echo, body)
    rates = [(rate(url, body), rate(echo, body)) for _ in range(ROUNDS)]
    waits: Sequence[tuple[list[float], list[float]]] = [
        (latency(url, body), latency(echo, body)) for _ in range(ROUNDS)
    ]
    ours = statistics.median(one for one, _ in rates)
    share = statistics.median(one / other for one, other in rates)
    p50, p99 = (statistics.median(quantile(one, q) for one, _ in waits) for q in (0.5, 0.99))
    times = statistics.median(quantile(one, 0.5) / quantile(other, 0.5) for one, other in waits)
    print(
        f"{name:10} {ours:6.0f} messages/s, {share:.2f} of the echo's; "
        f"latency p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, {times:.1f} times the echo's"
    )


def main() -> None:
    port = free_port()
    echo = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "echo.py"
        script.write_text(ECHO)
        agents = {"bench": 'name = "bench"\nsystem_prompt = "You echo."\n[resources]\nconcurrent_turns = 64\n'}
        command = [sys.executable, str(script), str(port)]
        with process(command, f"{echo}/agents/bench/message"), caxton(agents=agents) as (url, _, _, _):
            report("in memory", url, echo, IN_MEMORY)
            report("stored", url, echo, STORED)
