"""A tool server under supervision: started when needed, started again when it ends, with growing pauses."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import cast

from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.ports.tools import HostContext, ProgressListener
from caxton.domain.tool import PromptLine, ResourcePart, ToolCall, ToolPrompt, ToolResource, ToolResult, ToolSchema
from caxton.domain.tool_settings import McpServerSettings, Starting
from caxton.tools.connection import Connect, Connection, Ending, NotReached, reason_of, unavailable
from caxton.tools.server_log import ServerLog

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
"""Seconds between two starts; they double with each failure."""
STEADY = 10.0
"""Seconds after which a server that ends counts as one that ran."""


class _State(StrEnum):
    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    PAUSING = "pausing"
    CLOSED = "closed"


class McpHost:
    """Implements `ports.tools.ToolHost` and `OffersResources` over whatever `connect` connects to.

    `connect` is a `connection.Connect`, or where to find one (`package.module:name`): the SDK takes half a second to
    import, so that is done when the server is first started, and beside the event loop. One task owns the connection
    for as long as it lasts, as the SDK asks.
    """

    def __init__(self, settings: McpServerSettings, context: HostContext, connect: Connect | str) -> None:
        self._settings = settings
        self._context = context
        self._connect = connect
        self._log = ServerLog(settings.name, context.clock.now)
        self._state = _State.IDLE
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._why = ""
        self._connection: Connection | None = None
        self._end = Ending()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._state is _State.CLOSED:
            return
        self._wanted.set()
        if self._task is None:
            self._task = asyncio.create_task(self._supervise(), name=f"tool server {self._settings.name}")
            self._task.add_done_callback(self._abandoned)

    async def tools(self) -> tuple[ToolSchema, ...]:
        return await (await self._connected()).tools()

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        timeout = call.timeout or self._settings.timeout
        try:
            return await (await self._connected()).call(call, timeout, progress)
        except NotReached:
            return await (await self._connected()).call(call, timeout, progress)

    async def resources(self) -> list[ToolResource]:
        return await (await self._connected()).resources()

    async def read_resource(self, uri: str) -> list[ResourcePart]:
        return await (await self._connected()).read_resource(uri)

    async def prompts(self) -> list[ToolPrompt]:
        return await (await self._connected()).prompts()

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> list[PromptLine]:
        return await (await self._connected()).prompt(name, arguments)

    def health(self) -> ComponentHealth:
        status = {
            _State.IDLE: HealthStatus.IDLE,
            _State.STARTING: HealthStatus.LOADING,
            _State.READY: HealthStatus.OK,
            _State.PAUSING: HealthStatus.FAILED,
            _State.CLOSED: HealthStatus.IDLE,
        }[self._state]
        detail = self._why if status in (HealthStatus.FAILED, HealthStatus.LOADING) else ""
        return ComponentHealth(name=f"tool server {self._settings.name}", status=status, detail=detail)

    def logs(self) -> list[str]:
        return self._log.lines()

    async def restart(self) -> None:
        await self._stop("it is restarted")
        if self._settings.start is Starting.EAGER:
            self.start()

    async def aclose(self) -> None:
        self._enter(_State.CLOSED)
        await self._stop("it is closed")

    async def _stop(self, why: str) -> None:
        self._end.tell(why)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _connected(self) -> Connection:
        """The connection, once it is there; CaxtonError where it cannot be had now."""
        if self._connection is not None and not self._end.told:
            return self._connection
        # From a pause the way out is time, and from the end there is none: nobody waits for either.
        while self._connection is None or self._end.told:
            if self._state is _State.PAUSING:
                raise unavailable(self._settings.name, self._why)
            if self._state is _State.CLOSED:
                raise unavailable(self._settings.name, "it was closed")
            self.start()
            await self._changed.wait()
        return self._connection

    def _abandoned(self, task: "asyncio.Task[None]") -> None:
        """The supervision has ended: whoever still waits for a connection is woken and starts another one."""
        self._task = None
        self._enter(_State.IDLE)

    def _enter(self, state: _State) -> None:
        if self._state is not _State.CLOSED:
            self._state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _supervise(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            self._enter(_State.STARTING)
            began = self._context.clock.now()
            ran = False
            try:
                async with self._opened() as connection:
                    ran = True
                    self._connection = connection
                    self._enter(_State.READY)
                    await self._end.wait()
                    # Whoever comes now waits for the next connection, not for the end of this one.
                    self._connection = None
                    self._enter(_State.STARTING)
                self._why = self._end.why
            except Exception as error:
                self._why = self._end.why if ran and self._end.why else reason_of(error)
            finally:
                self._connection = None
            failures = 1 if ran and self._context.clock.now() - began >= STEADY else failures + 1
            self._log.note(f"The server ended: {self._why}." if ran else f"The server did not start: {self._why}.")
            if ran and failures == 1:
                # One that ran is started again at once, for those who are about to use it.
                self._enter(_State.STARTING)
                continue
            if self._settings.start is Starting.LAZY:
                self._wanted.clear()
            self._enter(_State.PAUSING)
            await self._context.clock.sleep(min(FIRST_PAUSE * 2 ** min(failures - 1, 16), LONGEST_PAUSE))
            self._enter(_State.IDLE)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Connection]:
        connect = self._connect
        if isinstance(connect, str):
            module, _, name = connect.partition(":")
            connect = cast(Connect, getattr(await asyncio.to_thread(importlib.import_module, module), name))
            self._connect = connect
        self._end = Ending()
        async with connect(self._settings, self._context, self._log, self._end) as connection:
            yield connection


def stdio_host(settings: McpServerSettings, context: HostContext) -> McpHost:
    """A subprocess. A `ports.tools.HostKind`."""
    return McpHost(settings, context, "caxton.tools.stdio:connect")


def http_host(settings: McpServerSettings, context: HostContext) -> McpHost:
    """A server reached by streamable HTTP. A `ports.tools.HostKind`."""
    return McpHost(settings, context, "caxton.tools.http:connect")
