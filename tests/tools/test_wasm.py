"""WebAssembly servers: whatever a module does, its call ends within its limits, and all others go on."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.wasm import ODD, builder, built

from caxton.domain.clock import SystemClock
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ToolCall, ToolName, ToolProgress, ToolResult
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.kinds import host_kind
from caxton.tools.wasm import WasmHost
from caxton.tools.wasm_usage import CallUsage

DEADLINE = 60.0
ACCURACY = 1.05
MEBIBYTE = 1_048_576


@pytest.fixture(scope="session")
def odd_module(pytestconfig: pytest.Config) -> Path:
    return built(pytestconfig, ODD, builder().build_c)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was compiled for one test is kept for the others."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
async def odd(odd_module: Path, compiled: Path, no_tasks_left: None) -> AsyncIterator[Callable[..., WasmHost]]:
    """Makes hosts of the odd module: `odd(max_seconds=1.0)`; what is no option of ours is the server's setting."""
    hosts = []

    def make(environ: dict[str, str] | None = None, **settings: Any) -> WasmHost:
        options = {"module": str(odd_module), "cache": str(compiled)}
        for name in list(settings):
            if name not in McpServerSettings.__struct_fields__:
                options[name] = settings.pop(name)
        given = McpServerSettings(name="odd", kind="wasm", options=options, **{"timeout": 30.0, **settings})
        context = HostContext(clock=SystemClock(), environ=os.environ if environ is None else environ)
        hosts.append(host_kind("wasm")(given, context))
        return hosts[-1]

    yield make
    await asyncio.gather(*(host.aclose() for host in hosts))


async def ask(host: WasmHost, tool: str, timeout: float | None = None, **arguments: object) -> ToolResult:
    async with asyncio.timeout(DEADLINE):
        return await host.call(ToolCall(id="1", tool=ToolName("odd", tool), arguments=arguments, timeout=timeout))


async def failure(host: WasmHost, tool: str, **arguments: object) -> tuple[CaxtonError, CallUsage]:
    """The error of a call, what it cost; and the next call is answered."""
    with pytest.raises(CaxtonError) as caught:
        await ask(host, tool, **arguments)
    usage = host.usage()[0]
    assert usage.ending == caught.value.code
    assert (await ask(host, "echo", text="and on")).text() == "and on"
    return caught.value, usage


async def test_tools_are_listed_and_called(odd):
    host = odd()
    assert [tool.name.tool for tool in await host.tools()][:2] == ["echo", "spin"]
    assert (await ask(host, "echo", text='"ünïcode" \\ \n 😀')).text() == '"ünïcode" \\ \n 😀'
    assert host.health().status is HealthStatus.OK
    assert await host.resources() == []
    assert await host.prompts() == []


async def test_what_a_call_cost_is_recorded(odd):
    host = odd()
    await ask(host, "spin", turns=100_000)
    told = host.usage()[0]
    assert (told.tool, told.ending) == ("odd.spin", "answered")
    assert told.usage.fuel > 100_000
    assert told.usage.seconds > 0
    assert 0 < told.usage.output < 200
    assert told.usage.memory % 65_536 == 0


async def test_the_fuel_limit_holds_to_the_unit(odd):
    host = odd()
    await ask(host, "spin", turns=100_000)
    needed = host.usage()[0].usage.fuel
    assert (await ask(odd(max_fuel=needed), "spin", turns=100_000)).text() == "100000 turns"
    short = odd(max_fuel=needed - 1)
    error, told = await failure(short, "spin", turns=100_000)
    assert error.code is Code.TOOL_LIMIT_EXCEEDED
    assert f"{needed - 1} units of fuel" in error.message
    assert "max_fuel" in error.hint
    assert told.usage.fuel == needed - 1


@pytest.mark.parametrize(("tool", "arguments"), [("loop", {}), ("nap", {"seconds": 600})])
async def test_the_time_limit_holds_for_running_and_for_sleeping(odd, tool, arguments):
    host = odd(max_seconds=1.0, max_fuel=0)
    for _ in range(3):
        error, told = await failure(host, tool, **arguments)
        assert error.code is Code.TOOL_LIMIT_EXCEEDED
        assert "1 seconds" in error.message
        assert told.usage.seconds >= 1.0
        # A machine that is busy with other things may be late at times, but not always.
        if told.usage.seconds <= 1.0 * ACCURACY:
            return
    pytest.fail(f"the call was ended after {told.usage.seconds} s only")


async def test_the_memory_limit_holds_to_the_page(odd):
    host = odd(max_memory_bytes=8 * MEBIBYTE)
    assert (await ask(host, "grow")).text() == str(8 * MEBIBYTE)
    assert host.usage()[0].usage.memory == 8 * MEBIBYTE


async def test_allocating_without_end_is_told_as_such(odd):
    error, told = await failure(odd(max_memory_bytes=8 * MEBIBYTE, recycle_after=1), "allocate")
    assert error.code is Code.TOOL_LIMIT_EXCEEDED
    assert f"{8 * MEBIBYTE} bytes of memory" in error.message
    assert 8 * MEBIBYTE / ACCURACY < told.usage.memory <= 8 * MEBIBYTE


async def test_a_flood_of_output_is_cut_off(odd):
    error, told = await failure(odd(max_output_bytes=100_000), "flood")
    assert error.code is Code.TOOL_LIMIT_EXCEEDED
    assert "100000 bytes of output" in error.message
    assert 100_000 <= told.usage.output <= 100_000 * ACCURACY


async def test_endless_recursion_is_stopped(odd):
    error, _ = await failure(odd(), "recurse")
    assert error.code is Code.TOOL_LIMIT_EXCEEDED
    assert "stack" in error.message
    assert "exhausted" in error.why


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [("quit", {"status": 3}, "exit: 3"), ("quit", {"status": 0}, "exit: 0"), ("trap", {}, "unreachable")],
)
async def test_ending_in_the_middle_of_a_call_fails_that_call_alone(odd, tool, arguments, why):
    host = odd()
    error, _ = await failure(host, tool, **arguments)
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert why in error.why
    assert any(why.split()[-1] in line for line in host.logs())


@pytest.mark.parametrize(
    "text",
    [
        "this is no JSON\n",
        "[1, 2]\n",
        "\x00\x7f\n\n",
        '{"jsonrpc":"2.0","id":99,"result":{}}\n',
        '{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{}}\n',
        "",
        '{"jsonrpc":"2.0","id":2}\n',
        '{"jsonrpc":"2.0","id":2,"result":{"content":"none"}}\n',
        '{"jsonrpc":"2.0","id":2,"result":[]}\n',
    ],
)
async def test_broken_answers_fail_the_call_at_once(odd, text):
    host = odd()
    began = time.monotonic()
    error, _ = await failure(host, "say", text=text)
    assert error.code is Code.TOOL_MALFORMED
    assert time.monotonic() - began < 10


async def test_an_error_of_the_protocol_is_passed_on_and_the_instance_kept(odd):
    host = odd()
    await ask(host, "tally")
    with pytest.raises(CaxtonError) as caught:
        await ask(host, "nonesuch")
    assert caught.value.code is Code.TOOL_FAILED
    assert "no such tool" in caught.value.message
    assert (await ask(host, "tally")).text() == "2"


async def test_nothing_is_seen_that_was_not_granted(odd, tmp_path):
    (tmp_path / "secret").write_text("secret")
    host = odd(environ={"HOME": "/somewhere", "TOKEN": "secret"})
    for path in ("/etc/passwd", str(tmp_path / "secret"), "secret", "../secret", "/proc/self/environ", "/dev/stdin"):
        result = await ask(host, "read", path=path)
        assert result.failed, path
        assert "secret" not in result.text()
    assert (await ask(host, "write", path="/new", text="x")).failed
    for name in ("HOME", "TOKEN", "PATH"):
        assert (await ask(host, "variable", name=name)).text() == "(none)"
    assert (await ask(host, "command")).text() == "server"


async def test_what_was_granted_is_seen(odd, tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "note").write_text("read me")
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    host = odd(
        environ={"TOKEN": "abc", "LISTED": "yes", "OTHER": "no"},
        env={"KEY": "<${TOKEN}>"},
        inherit=("LISTED",),
        args=("one", "two"),
        read={"/data": str(tmp_path / "in")},
        write={"/out": str(tmp_path / "out")},
    )
    assert (await ask(host, "read", path="/data/note")).text() == "read me"
    assert (await ask(host, "write", path="/data/note", text="x")).failed
    assert (await ask(host, "write", path="/out/new", text="hello")).text() == "written"
    assert (tmp_path / "out" / "new").read_text() == "hello"
    for path in ("/data/link", "/data/../outside", "/data/../../etc/passwd", "/out/../outside", "/etc/passwd"):
        assert (await ask(host, "read", path=path)).failed, path
    assert (tmp_path / "in" / "note").read_text() == "read me"
    seen = [(await ask(host, "variable", name=name)).text() for name in ("KEY", "LISTED", "TOKEN", "OTHER")]
    assert seen == ["<abc>", "yes", "(none)", "(none)"]
    assert (await ask(host, "command")).text() == "server one two"


async def test_an_instance_is_replaced_after_so_many_calls(odd):
    host = odd(recycle_after=2, instances=1)
    assert [(await ask(host, "tally")).text() for _ in range(5)] == ["1", "2", "1", "2", "1"]


@pytest.mark.parametrize("granted", [False, True])
async def test_nothing_is_left_of_instances_that_are_gone(odd, tmp_path, granted):
    host = odd(recycle_after=1, **({"read": {"/data": str(tmp_path)}} if granted else {}))

    async def used(calls: int) -> tuple[int, int]:
        for _ in range(calls):
            await ask(host, "echo", text="x")
        (worker,) = psutil.Process().children()
        return worker.num_threads(), worker.memory_info().rss

    threads, memory = await used(20)
    more_threads, more_memory = await used(200)
    assert more_threads <= threads + 2
    assert more_memory < memory + 10 * MEBIBYTE


async def test_calls_beyond_the_instances_wait_in_line(odd):
    host = odd(instances=2)
    told = await asyncio.gather(*(ask(host, "echo", text=str(number)) for number in range(50)))
    assert [one.text() for one in told] == [str(number) for number in range(50)]


async def test_what_it_writes_to_standard_error_is_in_its_log(odd):
    host = odd()
    await ask(host, "mutter", text="all is well")
    assert "all is well" in host.logs()


async def test_progress_is_told_as_it_comes(odd):
    heard: list[ToolProgress] = []
    told = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"1","progress":1,"total":2}}\n'
    call = ToolCall(id="1", tool=ToolName("odd", "say"), arguments={"text": told})
    with pytest.raises(CaxtonError):
        await odd().call(call, heard.append)
    assert heard == [ToolProgress(call="1", progress=1.0, total=2.0)]


async def test_a_call_that_takes_longer_than_it_was_given_is_ended(odd):
    host = odd(instances=1)
    with pytest.raises(CaxtonError) as caught:
        await ask(host, "nap", seconds=600, timeout=0.3)
    assert caught.value.code is Code.TOOL_TIMEOUT
    assert host.usage()[0].ending == Code.TOOL_TIMEOUT
    assert (await ask(host, "echo", text="free")).text() == "free"


async def test_a_cancelled_call_gives_its_instance_free(odd):
    host = odd(instances=1, max_fuel=0)
    await host.tools()
    (worker,) = psutil.Process().children()
    idle = worker.cpu_times().user
    call = asyncio.create_task(ask(host, "loop"))
    while worker.cpu_times().user < idle + 0.1:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await ask(host, "echo", text="free")).text() == "free"
    assert host.usage()[1].ending == "cancelled"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are for POSIX")
async def test_an_instance_that_is_stuck_outside_of_its_code_is_ended_with_its_process(odd, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    host = odd(max_seconds=0.3, read={"/data": str(tmp_path)})
    error, _ = await failure(host, "read", path="/data/pipe")
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "time was up" in error.why


async def test_a_process_that_is_killed_is_started_again(odd):
    host = odd()
    await host.tools()
    call = asyncio.create_task(ask(host, "nap", seconds=5))
    await asyncio.sleep(0)
    for child in psutil.Process().children():
        child.kill()
    with pytest.raises(CaxtonError) as caught:
        await call
    assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
    assert (await ask(host, "echo", text="back")).text() == "back"


@pytest.mark.parametrize(
    ("tool", "limits"), [("loop", {"max_seconds": 1.0, "max_fuel": 0}), ("allocate", {}), ("flood", {})]
)
async def test_twenty_others_go_on_meanwhile(odd, tool, limits):
    host = odd(instances=21, **limits)
    await asyncio.gather(*(ask(host, "echo", text="warm") for _ in range(21)))
    bad = asyncio.create_task(failure(host, tool))

    async def good(number: int) -> int:
        calls = 0
        while calls < 5 or not bad.done():
            assert (await ask(host, "echo", text=f"{number}.{calls}")).text() == f"{number}.{calls}"
            calls += 1
            await asyncio.sleep(0.01)
        return calls

    calls = await asyncio.gather(*(good(number) for number in range(20)))
    error, _ = await bad
    assert error.code is Code.TOOL_LIMIT_EXCEEDED
    assert min(calls) >= 5


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"args": ("loop at start",), "max_fuel": 10_000_000}, "fuel"),
        ({"args": ("exit at start",)}, "exit: 5"),
    ],
)
async def test_a_module_that_does_not_come_up_fails_the_call(odd, settings, why):
    with pytest.raises(CaxtonError) as caught:
        await ask(odd(**settings), "echo", text="x")
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"module": "nowhere.wasm"}, "nowhere.wasm"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"max_memory": 5}, "max_memory"),
        ({"instances": 0}, "instances"),
        ({"max_memory_bytes": 65_536}, "begins with"),
        ({"read": {"/data": "/no/such/directory"}}, "preopen"),
        ({"public_key": "AAAA"}, ".sig"),
        ({"write": {"/": "/"}}, "cache"),
    ],
)
async def test_settings_that_cannot_be_are_told(odd, options, why):
    with pytest.raises(CaxtonError) as caught:
        await ask(odd(**options), "echo", text="x")
    assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
    assert why in caught.value.why
