"""Caxton as the client of the official conformance suite: `python conformance_client.py URL`.

The suite names the scenario in MCP_CONFORMANCE_SCENARIO, and gives credentials in MCP_CONFORMANCE_CONTEXT.
"""

import asyncio
import json
import os
import sys

from caxton.domain.clock import SystemClock
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ElicitAction, ElicitAnswer, Elicitation, ToolCall
from caxton.domain.tool_settings import McpServerSettings, OAuthSettings
from caxton.tools.host import http_host

ARGUMENTS: dict[str, dict[str, object]] = {"add_numbers": {"a": 5, "b": 3}}


class Accepting:
    """Answers every question with its defaults."""

    async def elicit(self, elicitation: Elicitation) -> ElicitAnswer:
        fields = (elicitation.schema or {}).get("properties", {})
        content = {name: field["default"] for name, field in fields.items() if "default" in field}
        return ElicitAnswer(action=ElicitAction.ACCEPT, content=content)


async def main(url: str) -> None:
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    environ = {"ID": given.get("client_id", ""), "SECRET": given.get("client_secret", "")}
    oauth = OAuthSettings(client_id_env="ID", client_secret_env="SECRET") if "client_secret" in given else None
    settings = McpServerSettings(name="suite", kind="http", url=url, oauth=oauth)
    host = http_host(settings, HostContext(clock=SystemClock(), environ=environ, elicitor=Accepting()))
    try:
        for tool in await host.tools():
            call = ToolCall(id="1", tool=tool.name, arguments=ARGUMENTS.get(tool.name.tool, {}))
            print(await host.call(call))
    finally:
        await host.aclose()


asyncio.run(main(sys.argv[1]))
