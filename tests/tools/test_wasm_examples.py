"""The example servers are built as their makers would, and answer."""

import os
import re
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.wasm import EXAMPLES, ROOT, builder, built

from caxton.config.tool_tables import McpServerTable, ToolsTable, tool_settings
from caxton.domain.clock import SystemClock
from caxton.domain.ports.tools import HostContext, ToolHost
from caxton.domain.tool import ToolCall, ToolName, ToolResult
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.wasm import wasm_host
from caxton.tools.wasm_settings import WasmSettings, wasm_settings

GUIDE = ROOT / "tutorial" / "wasm-tools.md"


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Path], ToolHost]]:
    hosts = []

    def make(module: Path) -> ToolHost:
        settings = McpServerSettings(name="example", kind="wasm", options={"module": str(module)})
        hosts.append(wasm_host(settings, HostContext(clock=SystemClock(), environ=os.environ)))
        return hosts[-1]

    yield make
    for host in hosts:
        await host.aclose()


async def ask(host: ToolHost, tool: str, **arguments: object) -> ToolResult:
    return await host.call(ToolCall(id="1", tool=ToolName("example", tool), arguments=arguments))


async def test_the_one_in_c(serve, pytestconfig):
    host = serve(built(pytestconfig, EXAMPLES / "c" / "text.c", builder().build_c))
    assert [tool.name.tool for tool in await host.tools()] == ["count", "replace"]
    assert (await ask(host, "count", text="Grüße,\nWelt 😀")).text() == "2 lines, 3 words, 13 letters"
    assert (await ask(host, "replace", text='a "b" a', old="a", new="\u20ac\\")).text() == '\u20ac\\ "b" \u20ac\\'
    assert (await ask(host, "replace", text="a", old="", new="b")).failed
    assert (await ask(host, "count", text=5)).failed


async def test_the_one_in_the_guide_with_its_settings(serve, pytestconfig, tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    (source,) = (text for kind, text in blocks if kind == "c")
    tables = [tomllib.loads(text)["mcp_servers"] for kind, text in blocks if kind == "toml"]
    servers = {name: McpServerTable.model_validate(table) for one in tables for name, table in one.items()}
    settings = tool_settings(ToolsTable(), servers, tmp_path).servers
    assert [wasm_settings(one).module for one in settings.values()] == ["greeter.wasm", "reports.wasm"]
    assert settings["reports"].args == ("--brief",)
    (tmp_path / "greeter.c").write_text(source)
    host = serve(built(pytestconfig, tmp_path / "greeter.c", builder().build_c))
    assert (await ask(host, "greet", name="Ada")).text() == "Good day, Ada."
    assert (await ask(host, "greet")).failed


def test_the_guide_names_every_option_and_its_default():
    text = GUIDE.read_text(encoding="utf-8")
    for name, default in zip(WasmSettings.__struct_fields__[1:], WasmSettings.__struct_defaults__, strict=True):
        assert f"`{name}" in text or f"{name} =" in text, name
        if isinstance(default, int | float):
            row = re.search(rf"^\| `{name}` \| ([\d,.]+) \|", text, re.M)
            assert row is not None, name
            assert float(row[1].replace(",", "")) == default


async def test_the_one_in_rust(serve, pytestconfig):
    build = builder()
    rust = build.find_rust()
    if rust is None:
        pytest.skip("no rustc with the standard library for WASI: see examples/wasm/build.py")
    module = built(pytestconfig, EXAMPLES / "rust" / "units.rs", lambda source, to: build.build_rust(source, to, *rust))
    host = serve(module)
    assert [tool.name.tool for tool in await host.tools()] == ["convert"]
    told = await ask(host, "convert", value=3, **{"from": "km", "to": "m"})
    assert told.text() == "3 km = 3000 m"
    wrong = await ask(host, "convert", value=3, **{"from": "parsec 😀", "to": "m"})
    assert wrong.failed
    assert "parsec 😀" in wrong.text()
    assert (await ask(host, "convert", value=[1, {"a": None}, True], **{"from": "m", "to": "m"})).failed
