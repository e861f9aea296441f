"""The SDK takes half a second to import: nobody pays for it who does not start a server."""

import subprocess
import sys

HEAVY = ("mcp", "mcp_types", "httpx2", "pydantic")


def test_tools_are_opened_without_the_sdk():
    program = f"""
import asyncio, sys
from caxton.domain.clock import SystemClock
from caxton.domain.tool_settings import McpServerSettings, ToolSettings
from caxton.tools.catalogue import open_tools
from caxton.tools.mcp_json import read_mcp_json
from caxton.tools.standard import standard_command

async def main():
    settings = ToolSettings(servers={{"files": McpServerSettings(name="files", command="x")}})
    async with open_tools(settings, clock=SystemClock(), new_id=str, environ={{}}) as tools:
        tools.permissions.grant("helper", ("files.*",))
        tools.hosts.get("files", None)

asyncio.run(main())
assert not set({HEAVY}) & set(sys.modules), set({HEAVY}) & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
