"""A tool call through Caxton (permission, fingerprint, host, our pipes) against the SDK's bare client, same server.

Then what a permission check costs, calls a second with 64 agents on one shared server, and the start of a server.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from benchmarks.measure import quantile
from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.tool import ToolCall, ToolName
from caxton.domain.tool_settings import ArgumentRule, McpServerSettings, ToolPolicy, ToolSettings
from caxton.tools.catalogue import Catalogue, open_tools
from caxton.tools.permissions import Permissions
from caxton.tools.standard import standard_command

CALLS, ROUNDS, AGENTS, CHECKS = 10, 300, 64, 100_000
TOOL = ToolName("calculator", "calculate")
ARGUMENTS: dict[str, object] = {"expression": "1 + 2"}


async def in_turn(calls: int, call: Callable[[], Awaitable[object]]) -> tuple[float, float, list[float]]:
    """Seconds for so many calls one after the other; of the processor, in this process; and for each call."""
    waits = []
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(calls):
        start = time.perf_counter()
        await call()
        waits.append(time.perf_counter() - start)
    return time.perf_counter() - began, time.process_time() - worked, waits


async def compare(tools: Catalogue) -> None:
    command, args = standard_command("calculator")
    async with Client(StdioServerParameters(command=command, args=list(args))) as bare:

        async def plainly() -> None:
            assert not (await bare.call_tool("calculate", ARGUMENTS)).is_error

        async def ours() -> None:
            assert not (await tools.call(ToolCall(id="1", tool=TOOL, arguments=ARGUMENTS, agent="agent-0"))).failed

        await in_turn(10 * CALLS, plainly)
        await in_turn(10 * CALLS, ours)
        pairs, work, mine, theirs = [], [], [], []
        for number in range(ROUNDS):
            # Who comes first changes, so that a drift of the machine falls on both.
            first, second = (plainly, ours) if number % 2 else (ours, plainly)
            results = {one: await in_turn(CALLS, one) for one in (first, second)}
            pairs.append((results[ours][0], results[plainly][0]))
            work.append((results[ours][1], results[plainly][1]))
            mine += results[ours][2]
            theirs += results[plainly][2]
        ratio = statistics.median(one / other for one, other in pairs)
        worked = sum(one for one, _ in work) / sum(other for _, other in work)
        print(
            f"through Caxton p50 {statistics.median(mine) * 1e6:.0f} µs, p99 {quantile(mine, 0.99) * 1e6:.0f} µs; "
            f"bare client p50 {statistics.median(theirs) * 1e6:.0f} µs, p99 {quantile(theirs, 0.99) * 1e6:.0f} µs; "
            f"ratio {ratio:.3f}, of processor time {worked:.3f}"
        )

        async def crowd(call: Callable[[int], Awaitable[object]]) -> float:
            began = time.perf_counter()
            await asyncio.gather(*(in_turn(20, lambda number=number: call(number)) for number in range(AGENTS)))
            return AGENTS * 20 / (time.perf_counter() - began)

        async def as_agent(number: int) -> object:
            return await tools.call(ToolCall(id="1", tool=TOOL, arguments=ARGUMENTS, agent=f"agent-{number}"))

        rates = [(await crowd(as_agent), await crowd(lambda _: plainly())) for _ in range(3)]
        print(
            f"{AGENTS} agents at once: {statistics.median(one for one, _ in rates):.0f} calls/s, "
            f"{statistics.median(one / other for one, other in rates):.2f} of the bare client's"
        )


def checks() -> None:
    rule = ArgumentRule(tool="files.*", argument="path", path_prefixes=("reports", "notes"))
    permissions = Permissions(ToolPolicy(deny=("*.delete_*", "shell.*"), approve=("files.write_*",), rules=(rule,)))
    permissions.grant("agent", ("calculator.*", "files.read_*", "http.get", "memory.*"))
    path = {"path": "reports/2026/may.txt"}
    for what, tool, arguments in [
        ("allowed", TOOL, ARGUMENTS),
        ("refused", ToolName("shell", "run"), ARGUMENTS),
        ("with a rule for its path", ToolName("files", "read_file"), path),
    ]:
        began = time.perf_counter()
        for _ in range(CHECKS):
            permissions.check("agent", tool, arguments)
        print(f"permission check, {what}: {(time.perf_counter() - began) / CHECKS * 1e6:.2f} µs")
    names = [ToolName("files", f"read_{number}") for number in range(5_000)]
    began = time.perf_counter()
    for name in names:
        permissions.check("agent", name, path)
    print(f"permission check, never asked before: {(time.perf_counter() - began) / len(names) * 1e6:.2f} µs")


async def run() -> None:
    command, args = standard_command("calculator")
    settings = ToolSettings(servers={"calculator": McpServerSettings(name="calculator", command=command, args=args)})
    clock = SystemClock()
    async with open_tools(settings, clock=clock, new_id=IdSource(clock), environ=os.environ) as tools:
        for number in range(AGENTS):
            tools.permissions.grant(f"agent-{number}", ("calculator.*",))
        began = time.perf_counter()
        await tools.available("agent-0")
        print(f"first list of tools, with the start of the server: {(time.perf_counter() - began) * 1e3:.0f} ms")
        await compare(tools)


def main() -> None:
    checks()
    asyncio.run(run())


if __name__ == "__main__":
    main()
