"""Servers that nobody here wrote, unmodified: those of the protocol's makers, from npm.

They are installed once into a cache of pytest's; where that cannot be done each test says why.
"""

import json
from pathlib import Path

import pytest
from support.npm import installed, place_for

from caxton.domain.tool import ImagePart, ToolCall, ToolName, ToolProgress

VERSION = "2026.8.31"
PACKAGES = [f"@modelcontextprotocol/server-{name}@{VERSION}" for name in ("everything", "filesystem", "memory")]


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the servers' programs."""
    return installed(place_for(request, tmp_path_factory, "npm-servers"), *PACKAGES) / ".bin"


def call(server: str, tool: str, **arguments: object) -> ToolCall:
    return ToolCall(id="1", tool=ToolName(server, tool), arguments=arguments)


async def test_the_filesystem_server_works_within_its_root(programs, host, tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.txt").write_text("hush")
    server = host("filesystem", str(tmp_path / "in"), command=str(programs / "mcp-server-filesystem"))
    assert {"read_text_file", "write_file"} <= {tool.name.tool for tool in await server.tools()}
    path = str(tmp_path / "in" / "a.txt")
    assert not (await server.call(call("filesystem", "write_file", path=path, content="hello"))).failed
    assert (await server.call(call("filesystem", "read_text_file", path=path))).text() == "hello"
    assert (await server.call(call("filesystem", "read_text_file", path=str(tmp_path / "secret.txt")))).failed


async def test_the_filesystem_server_takes_its_root_from_us(programs, host, tmp_path: Path):
    server = host("filesystem", command=str(programs / "mcp-server-filesystem"), roots=(tmp_path,))
    (tmp_path / "a.txt").write_text("by root")
    # It asks for the roots after the handshake, in its own time.
    while (result := await server.call(call("filesystem", "read_text_file", path=str(tmp_path / "a.txt")))).failed:
        pass
    assert result.text() == "by root"


async def test_the_memory_server_remembers(programs, host, tmp_path: Path):
    env = {"MEMORY_FILE_PATH": str(tmp_path / "memory.json")}
    server = host("memory", command=str(programs / "mcp-server-memory"), env=env)
    ada = {"name": "Ada", "entityType": "person", "observations": ["likes engines"]}
    assert not (await server.call(call("memory", "create_entities", entities=[ada]))).failed
    await server.restart()
    found = await server.call(call("memory", "search_nodes", query="engines"))
    assert found.structured["entities"][0]["name"] == "Ada"


async def test_the_everything_server_is_understood(programs, host):
    server = host("everything", command=str(programs / "mcp-server-everything"))
    assert len(await server.tools()) > 10
    assert (await server.call(call("everything", "echo", message="hi"))).text() == "Echo: hi"
    assert "5" in (await server.call(call("everything", "get-sum", a=2, b=3))).text()
    picture = await server.call(call("everything", "get-tiny-image"))
    assert any(isinstance(part, ImagePart) and part.media_type == "image/png" for part in picture.content)
    weather = await server.call(call("everything", "get-structured-content", location="Chicago"))
    assert json.loads(weather.text()) == weather.structured
    told: list[ToolProgress] = []
    long = await server.call(call("everything", "trigger-long-running-operation", duration=0.3, steps=3), told.append)
    assert "completed" in long.text()
    assert [one.progress for one in told] == [1, 2, 3]
    assert (await server.call(call("everything", "get-sum", a="two"))).failed
    assert len(await server.resources()) > 3
    assert {"simple-prompt", "args-prompt"} <= {prompt.name for prompt in await server.prompts()}
    (line,) = await server.prompt("args-prompt", {"city": "Basel"})
    assert "Basel" in line.content.text
    elicited = await server.call(call("everything", "trigger-elicitation-request"))
    assert "declin" in elicited.text().lower()
