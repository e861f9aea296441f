"""What every way to run a tool server has to do. A new one is one more id of the fixture `host`."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.server import free_port
from support.wasm import builder, built

from caxton.domain.clock import SystemClock
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.ports.tools import HostContext, OffersResources, ToolHost
from caxton.domain.tool import ImagePart, TextPart, ToolCall, ToolName, ToolProgress
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.kinds import host_kind

SERVER = Path(__file__).parent.parent / "support" / "tool_server.py"
MODULE = SERVER.with_suffix(".c")
DEADLINE = 30.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the reference server listens for HTTP."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-P", str(SERVER), str(port)])
    try:
        until = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["stdio", "stdio 2025", "http", "http 2025", "wasm"])
async def host(request: pytest.FixtureRequest, port: int) -> AsyncIterator[ToolHost]:
    kind, _, year = request.param.partition(" ")
    settings = McpServerSettings(
        name="reference",
        kind=kind,
        command=sys.executable,
        args=("-P", str(SERVER)),
        url=f"http://127.0.0.1:{port}/mcp",
        legacy=bool(year),
        timeout=10,
        max_result_bytes=500_000,
        options={"module": str(built(request.config, MODULE, builder().build_c))} if kind == "wasm" else {},
    )
    before = asyncio.all_tasks()
    host = host_kind(kind)(settings, HostContext(clock=SystemClock(), environ=os.environ))
    async with asyncio.timeout(DEADLINE):
        yield host
        await host.aclose()
        # Generators of the HTTP client that were cut off are closed by tasks of the event loop's, a moment later.
        while asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.sleep(0.01)


def call(tool: str, timeout: float | None = None, **arguments: object) -> ToolCall:
    return ToolCall(id=f"call-{tool}", tool=ToolName("reference", tool), arguments=arguments, timeout=timeout)


async def test_tools_are_listed_as_the_server_describes_them(host):
    tools = {str(tool.name): tool for tool in await host.tools()}
    echo = tools["reference.echo"]
    assert echo.description == "Says it again."
    assert echo.parameters["required"] == ["text"]
    assert tools["reference.add"].returns["required"] == ["total"]


async def test_the_same_list_is_given_until_it_changes(host):
    assert await host.tools() is await host.tools()


async def test_a_call_brings_back_text(host):
    result = await host.call(call("echo", text="héllo\n👋"))
    assert result.content == (TextPart("héllo\n👋"),)
    assert (result.call, str(result.tool), result.failed, result.error) == ("call-echo", "reference.echo", False, None)


async def test_a_call_brings_back_structure(host):
    assert (await host.call(call("add", a=2, b=3))).structured == {"total": 5}


async def test_a_call_brings_back_pictures(host):
    result = await host.call(call("picture"))
    picture = result.content[1]
    assert isinstance(picture, ImagePart)
    assert picture.media_type == "image/png"
    assert "image/png" in result.text()


async def test_a_failure_of_the_tool_is_a_result(host):
    result = await host.call(call("fail", words="out of ink"))
    assert result.failed
    assert "out of ink" in result.text()
    assert result.error is None


async def test_arguments_that_do_not_fit_are_a_result_too(host):
    result = await host.call(call("add", a="many"))
    assert result.failed
    assert "b" in result.text()


async def test_a_tool_that_is_not_there_fails(host):
    # The SDK's servers answer with a result that has failed, others with an error of the protocol.
    try:
        failed = (await host.call(call("nowhere"))).failed
    except CaxtonError as error:
        failed = error.code is Code.TOOL_FAILED
    assert failed


async def test_progress_is_told(host):
    told: list[ToolProgress] = []
    assert (await host.call(call("count", steps=3), told.append)).text() == "3 steps"
    while len(told) < 3:
        await asyncio.sleep(0.01)
    assert [(one.call, one.progress, one.total) for one in told] == [("call-count", n, 3.0) for n in (1.0, 2.0, 3.0)]


async def test_a_slow_call_times_out_and_the_server_lives_on(host):
    with pytest.raises(CaxtonError) as caught:
        await host.call(call("wait", seconds=60, timeout=0.3))
    assert caught.value.code is Code.TOOL_TIMEOUT
    assert (await host.call(call("echo", text="still here"))).text() == "still here"


async def test_a_cancelled_call_ends_at_once_and_the_server_lives_on(host):
    await host.tools()
    calling = asyncio.create_task(host.call(call("wait", seconds=60)))
    await asyncio.sleep(0.2)
    calling.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert time.monotonic() - began < 2
    assert (await host.call(call("echo", text="still here"))).text() == "still here"


async def test_a_slow_call_does_not_hold_up_others(host):
    await host.tools()
    slow = asyncio.create_task(host.call(call("wait", seconds=5)))
    began = time.monotonic()
    await asyncio.gather(*(host.call(call("echo", text=str(n))) for n in range(20)))
    assert time.monotonic() - began < 4
    slow.cancel()
    await asyncio.wait([slow])


async def test_an_answer_that_is_too_large_fails_its_call_alone(host):
    with pytest.raises(CaxtonError) as caught:
        await host.call(call("large", size=600_000))
    assert caught.value.code is Code.TOOL_RESULT_TOO_LARGE
    assert len((await host.call(call("large", size=100_000))).text()) == 100_000


async def test_a_change_of_the_list_is_noticed(host):
    before = {tool.name.tool for tool in await host.tools()}
    name = (await host.call(call("learn"))).text()
    assert name not in before
    while name not in {tool.name.tool for tool in await host.tools()}:
        await asyncio.sleep(0.02)
    assert (await host.call(call(name))).text() == "learned"


async def test_resources_and_prompts_are_there_to_be_read(host):
    assert isinstance(host, OffersResources)
    assert [resource.uri for resource in await host.resources()] == ["note://one"]
    assert [part.text for part in await host.read_resource("note://one")] == ["remember the milk"]
    (prompt,) = await host.prompts()
    assert (prompt.name, prompt.required) == ("greet", ("name",))
    (line,) = await host.prompt("greet", {"name": "Ada"})
    assert line.content == TextPart("Say hello to Ada.")


async def test_health_follows_the_server(host):
    assert host.health().status is HealthStatus.IDLE
    await host.tools()
    assert host.health().status is HealthStatus.OK
    await host.aclose()
    assert host.health().status is HealthStatus.IDLE


async def test_a_restart_is_seen_by_nobody_who_comes_after_it(host):
    await host.tools()
    await host.restart()
    assert (await host.call(call("echo", text="again"))).text() == "again"


async def test_a_closed_host_takes_no_calls(host):
    await host.tools()
    await host.aclose()
    await host.aclose()
    with pytest.raises(CaxtonError) as caught:
        await host.call(call("echo", text="too late"))
    assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
