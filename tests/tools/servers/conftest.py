"""The standard servers, run as they are in earnest: out of process, through a host."""

from collections.abc import Awaitable, Callable

import pytest

from caxton.domain.tool import ToolCall, ToolName, ToolResult
from caxton.tools.host import McpHost
from caxton.tools.standard import standard_command

Server = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def server(host: Callable[..., McpHost]) -> Callable[..., Server]:
    """Starts a standard server: `ask = server("time")`, then `await ask("current_time", timezone="UTC")`."""

    def start(name: str, *args: str) -> Server:
        command, all_args = standard_command(name, args)
        running = host(name, *all_args, command=command)

        async def ask(tool: str, **arguments: object) -> ToolResult:
            return await running.call(ToolCall(id="1", tool=ToolName(name, tool), arguments=arguments))

        ask.host = running
        return ask

    return start
