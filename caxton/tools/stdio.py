"""Servers that are subprocesses and speak over their standard input and output."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.ports.tools import HostContext
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.connection import Connection, Ending
from caxton.tools.pipes import open_pipes
from caxton.tools.server_log import ServerLog
from caxton.tools.session import open_session
from caxton.tools.variables import environment, expand


@asynccontextmanager
async def connect(
    settings: McpServerSettings, context: HostContext, log: ServerLog, end: Ending
) -> AsyncIterator[Connection]:
    """A `connection.Connect`."""
    command = [expand(part, context.environ, settings.name) for part in (settings.command, *settings.args)]
    pipes = open_pipes(
        command,
        server=settings.name,
        env=environment(settings.env, settings.inherit, context.environ, settings.name),
        cwd=settings.cwd,
        limit=settings.max_result_bytes,
        log=log,
        end=end,
    )
    async with open_session(pipes, settings, context, log, end) as session:
        yield session
