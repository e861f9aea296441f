"""A server that is connected, whatever connects us to it; and how such a connection ends."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.tools import HostContext, ProgressListener
from caxton.domain.tool import PromptLine, ResourcePart, ToolCall, ToolPrompt, ToolResource, ToolResult, ToolSchema
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.server_log import ServerLog

MALFORMED = -33_001
"""JSON-RPC error code for an answer that could not be read; never on the wire."""
TOO_LARGE = -33_002
"""JSON-RPC error code for an answer larger than allowed; never on the wire."""


OVERSIZE = "the body has more than"
"""How the message begins that our HTTP client has for an answer larger than allowed."""


class NotReached(CaxtonError):
    """The connection was lost before the server had the request: it can be made again, over another connection."""


class Ending:
    """The end of a connection: whoever sees it tells it, and whoever waits for it learns why."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self.why = ""
        self.note = ""
        """What else is known of the last failure, such as an HTTP status."""

    @property
    def told(self) -> bool:
        return self._told.is_set()

    def tell(self, why: str) -> None:
        """The connection is of no more use. The first reason stays."""
        self.why = self.why or why
        self._told.set()

    async def wait(self) -> None:
        await self._told.wait()


class Connection(Protocol):
    """What a host does with a server that is there. Errors as `ports.tools.ToolHost` has them."""

    async def tools(self) -> tuple[ToolSchema, ...]: ...

    async def call(self, call: ToolCall, timeout: float, progress: ProgressListener | None) -> ToolResult: ...

    async def resources(self) -> list[ToolResource]: ...

    async def read_resource(self, uri: str) -> list[ResourcePart]: ...

    async def prompts(self) -> list[ToolPrompt]: ...

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> list[PromptLine]: ...


Connect = Callable[[McpServerSettings, HostContext, ServerLog, Ending], AbstractAsyncContextManager[Connection]]
"""Connects to a server, until the end of the block; tells the ending when the connection is lost before that."""


def unavailable(server: str, why: str, kind: type[CaxtonError] = CaxtonError) -> CaxtonError:
    return kind(
        Code.TOOL_SERVER_UNAVAILABLE,
        f"The tool server {server!r} does not run.",
        why=why,
        hint=f"It is started again by itself; `caxton tool logs {server}` has what it wrote.",
    )


def reason_of(error: BaseException) -> str:
    """What a person should read of an error; of a group, what its first member says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CaxtonError):
        return error.why or error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
