"""Calls of a tool in WebAssembly: warm and cold, against the same server as a native process, and what metering costs.

The module is the example in C; natively it is the same source, built by the same compiler, behind a bare pipe.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import quantile
from caxton.domain.clock import SystemClock
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ToolCall, ToolName
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.wasm import WasmHost, wasm_host

SOURCE = Path(__file__).parents[1] / "examples" / "wasm" / "c" / "text.c"
SHORT = {"text": "the quick brown fox jumps over the lazy dog"}
LONG = {"text": "the quick brown fox jumps over the lazy dog " * 10_000}
CALLS, COLD, ROUNDS, LONG_CALLS, AGENTS = 400, 20, 5, 20, 64


def build(folder: Path) -> tuple[Path, Path]:
    """The module, and the program for this machine."""
    compiler = [sys.executable, "-m", "ziglang", "cc", "-Oz", "-s", "-Wno-unused-function", str(SOURCE), "-o"]
    module, program = folder / "text.wasm", folder / "text"
    wasm = ["-target", "wasm32-wasi", "-Wl,-z,stack-size=65536"]
    subprocess.run([*compiler, str(module), *wasm], check=True)
    subprocess.run([*compiler, str(program)], check=True)
    return module, program


def host(module: Path, cache: Path, **options: object) -> WasmHost:
    given = {"module": str(module), "cache": str(cache), "max_fuel": 10**12, **options}
    settings = McpServerSettings(name="text", kind="wasm", options=given)
    return wasm_host(settings, HostContext(clock=SystemClock(), environ=os.environ))


def a_call(arguments: dict[str, str]) -> ToolCall:
    return ToolCall(id="1", tool=ToolName("text", "count"), arguments=dict(arguments))


async def timed(one: Callable[[], Awaitable[object]], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        await one()
        seconds.append(time.perf_counter() - began)
    return seconds


@contextmanager
def native(program: Path) -> Iterator[Callable[[dict[str, str]], float]]:
    """Seconds for one request and its answer, over a pipe to the program; nothing else is done."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(arguments: dict[str, str]) -> float:
            params = {"name": "count", "arguments": arguments}
            request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            line = json.dumps(request).encode() + b"\n"
            began = time.perf_counter()
            process.stdin.write(line)
            process.stdin.flush()
            process.stdout.readline()
            return time.perf_counter() - began

        yield ask
        process.stdin.close()


async def spread(module: Path, cache: Path) -> float:
    """Calls a second with so many agents calling all the time."""
    server = host(module, cache, instances=8)
    await server.call(a_call(SHORT))

    async def agent() -> None:
        for _ in range(CALLS // 8):
            await server.call(a_call(SHORT))

    began = time.perf_counter()
    await asyncio.gather(*(agent() for _ in range(AGENTS)))
    seconds = time.perf_counter() - began
    await server.aclose()
    return AGENTS * (CALLS // 8) / seconds


async def measure(module: Path, program: Path, cache: Path) -> None:
    warm, free = host(module, cache), host(module, cache, max_fuel=0)
    fresh = host(module, cache, recycle_after=1)
    for one in (warm, free, fresh):
        await one.call(a_call(SHORT))
    with native(program) as ask:
        shorts, colds, bare = [], [], []
        for _ in range(ROUNDS):
            shorts += await timed(lambda: warm.call(a_call(SHORT)), CALLS // ROUNDS)
            colds += await timed(lambda: fresh.call(a_call(SHORT)), CALLS // ROUNDS)
            bare += [ask(SHORT) for _ in range(CALLS // ROUNDS)]
        p50 = statistics.median
        print(
            f"warm call p50 {p50(shorts) * 1e3:.2f} ms, p95 {quantile(shorts, 0.95) * 1e3:.2f} ms: "
            f"{p50(shorts) / p50(bare):.1f} of the native server's behind a bare pipe ({p50(bare) * 1e3:.3f} ms)"
        )
        print(
            f"call with an instance of its own p50 {p50(colds) * 1e3:.2f} ms, p95 {quantile(colds, 0.95) * 1e3:.2f} ms:"
            f" {p50(colds) / p50(shorts):.1f} of a warm one"
        )
        metered, unmetered, plain = [], [], []
        for _ in range(LONG_CALLS):
            await warm.call(a_call(LONG))
            metered.append(warm.usage()[0].usage.seconds)
            await free.call(a_call(LONG))
            unmetered.append(free.usage()[0].usage.seconds)
            plain.append(ask(LONG))
    cost = p50(a / b for a, b in zip(metered, unmetered, strict=True))
    print(
        f"440 kB of text counted: metered {p50(metered) * 1e3:.2f} ms, {cost:.2f} of unmetered;"
        f" that is {p50(a / b for a, b in zip(unmetered, plain, strict=True)):.2f} of native"
    )
    for one in (warm, free, fresh):
        await one.aclose()
    started = []
    for number in range(COLD):
        one = host(module, cache if number % 2 else cache / str(number))
        began = time.perf_counter()
        await one.call(a_call(SHORT))
        started.append(time.perf_counter() - began)
        await one.aclose()
    print(
        f"first call, process started for it: {p50(started[1::2]) * 1e3:.0f} ms with the module in the cache,"
        f" {p50(started[::2]) * 1e3:.0f} ms without"
    )
    print(f"{AGENTS} agents, 8 instances: {await spread(module, cache):.0f} calls/s")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        module, program = build(Path(folder))
        asyncio.run(measure(module, program, Path(folder) / "cache"))
