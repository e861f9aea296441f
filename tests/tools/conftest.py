"""Hosts of real servers, closed after each test; and the proof that nothing of them is left."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from caxton.domain.clock import SystemClock
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ToolCall, ToolName
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.host import McpHost, stdio_host

ODD = Path(__file__).parent / "odd_server.py"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process that a test started outlives it."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert [child.cmdline() for child in psutil.wait_procs(left, timeout=5)[1]] == []


@pytest.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    """No task that a test started outlives it."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(5):
        # Generators of the HTTP client that were cut off are closed by tasks of the event loop, a moment later.
        while asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.sleep(0.01)


@pytest.fixture
async def host(no_tasks_left: None) -> AsyncIterator[Callable[..., McpHost]]:
    """Makes hosts of subprocesses: `host("odd", "dies", timeout=5)`."""
    made: list[McpHost] = []

    def make(name: str, *args: str, context: dict[str, Any] | None = None, **settings: Any) -> McpHost:
        settings = {"command": sys.executable, "start_timeout": 20.0, "timeout": 20.0, **settings}
        given = {"clock": SystemClock(), "environ": dict(os.environ), **(context or {})}
        made.append(stdio_host(McpServerSettings(name=name, args=args, **settings), HostContext(**given)))
        return made[-1]

    yield make
    await asyncio.gather(*(one.aclose() for one in made))


@pytest.fixture
def odd(host: Callable[..., McpHost]) -> Callable[..., McpHost]:
    """Makes a host of the odd server: `odd("dies")`."""
    return lambda mode, *args, **settings: host("odd", str(ODD), mode, *args, **settings)


def a_call(tool: str = "odd.odd", **arguments: object) -> ToolCall:
    return ToolCall(id="1", tool=ToolName.parse(tool), arguments=arguments)


@pytest.fixture
def call() -> Callable[..., ToolCall]:
    return a_call
