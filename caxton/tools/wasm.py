"""Servers that are WebAssembly modules: run in a sandbox, under limits, in a process of their own.

The way of a call: `WasmHost` → `wasm_connection` → `wasm_pool` → `wasm_session` (MCP) → `wasm_process` → frames →
`wasm_worker` → `wasm_guest`, the instance on its thread.
"""

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from caxton.domain.ports.tools import HostContext
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.connection import Connection, Ending, unavailable
from caxton.tools.host import McpHost
from caxton.tools.server_log import ServerLog
from caxton.tools.wasm_usage import CallUsage, UsageLog


class WasmHost(McpHost):
    """A host that also knows what its calls cost."""

    def __init__(self, settings: McpServerSettings, context: HostContext) -> None:
        self._usage = UsageLog()
        super().__init__(settings, context, self._open)

    def usage(self) -> list[CallUsage]:
        """The newest calls, newest first."""
        return self._usage.newest()

    @asynccontextmanager
    async def _open(
        self, settings: McpServerSettings, context: HostContext, log: ServerLog, end: Ending
    ) -> AsyncIterator[Connection]:
        if importlib.util.find_spec("wasmtime") is None:
            raise unavailable(settings.name, "wasmtime is not installed: pip install 'caxton[wasm]'")
        # The protocol's types take half a second to import: beside the event loop.
        module: Any = await asyncio.to_thread(importlib.import_module, "caxton.tools.wasm_connection")
        async with module.open_connection(settings, context, log, end, self._usage) as connection:
            yield connection


def wasm_host(settings: McpServerSettings, context: HostContext) -> WasmHost:
    """A WebAssembly module. A `ports.tools.HostKind`."""
    return WasmHost(settings, context)
