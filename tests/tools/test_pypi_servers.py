"""A server from PyPI that nobody here wrote, unmodified, in an environment of its own."""

from pathlib import Path

import pytest
from support.npm import place_for
from support.pypi import installed

from caxton.domain.tool import ToolCall, ToolName

PACKAGE = "mcp-server-time==2026.10.19"


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(place_for(request, tmp_path_factory, "pypi-servers"), PACKAGE)


async def test_the_time_server_tells_the_time(programs, host):
    server = host("time", command=str(programs / "mcp-server-time"))
    assert {tool.name.tool for tool in await server.tools()} == {"get_current_time", "convert_time"}

    def call(tool: str, **arguments: object) -> ToolCall:
        return ToolCall(id="1", tool=ToolName("time", tool), arguments=arguments)

    assert "Asia/Tokyo" in (await server.call(call("get_current_time", timezone="Asia/Tokyo"))).text()
    converted = await server.call(
        call("convert_time", source_timezone="Asia/Tokyo", time="12:00", target_timezone="UTC")
    )
    assert "03:00" in converted.text()
    assert (await server.call(call("get_current_time", timezone="Moon/Crater"))).failed
