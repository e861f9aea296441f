"""The tools over an agent's own memory."""

import os
import re
from collections.abc import AsyncIterator

import pytest

from caxton.domain.agent import MemoryScope
from caxton.domain.clock import SystemClock
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemorySpace
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool import ToolCall, ToolName, ToolResult
from caxton.domain.tool_settings import McpServerSettings, ToolSettings
from caxton.memory.sqlite import open_sqlite_memory
from caxton.storage.database import open_database
from caxton.testing.embedder import WordEmbedder
from caxton.tools.catalogue import Catalogue, open_tools
from caxton.tools.memory import MemoryHost, memory_kind

HELPER = MemorySpace(scope=MemoryScope.AGENT, owner="helper")


@pytest.fixture
async def memory(tmp_path) -> AsyncIterator[Memory]:
    clock = SystemClock()
    async with (
        open_database(tmp_path / "caxton.db") as database,
        open_sqlite_memory(database, WordEmbedder(), clock=clock, new_id=IdSource(clock)) as opened,
    ):
        yield opened


@pytest.fixture
def host(memory) -> MemoryHost:
    context = HostContext(clock=SystemClock(), environ={})
    return memory_kind(memory)(McpServerSettings(name="memory", kind="memory"), context)


def a_call(tool: str, agent: str | None = "helper", **arguments: object) -> ToolCall:
    return ToolCall(id="1", tool=ToolName("memory", tool), arguments=arguments, agent=agent, request="message-1")


async def test_what_is_remembered_is_recalled_and_forgotten(host, memory):
    told = (await host.call(a_call("remember", text="The safe opens with tulip."))).text()
    id = re.fullmatch(r"Remembered as (\S+)\.", told)[1]
    assert (await host.call(a_call("recall", query="safe"))).text() == f"{id}: The safe opens with tulip."
    [entry] = await memory.newest(MemoryFilter(spaces=(HELPER,)), limit=5)
    assert (entry.tags, entry.source) == (("tool",), "message-1")
    assert (await host.call(a_call("forget", id=id))).text() == "Forgotten."
    assert (await host.call(a_call("recall", query="safe"))).text() == "Nothing was found."
    assert id in (await host.call(a_call("forget", id=id))).text()


async def test_a_key_is_kept_once(host, memory):
    for text in "Graz", "Linz":
        await host.call(a_call("remember", text=text, key="home"))
    assert [entry.value for entry in await memory.newest(MemoryFilter(spaces=(HELPER,)), limit=5)] == ["Linz"]


async def test_an_agent_finds_and_forgets_nothing_of_another(host):
    told = (await host.call(a_call("remember", text="The safe opens with tulip."))).text()
    id = told.removeprefix("Remembered as ").removesuffix(".")
    assert (await host.call(a_call("recall", "other", query="safe"))).text() == "Nothing was found."
    await host.call(a_call("forget", "other", id=id))
    assert id in (await host.call(a_call("recall", query="safe"))).text()


async def test_the_memory_is_the_one_that_the_agent_has(memory):
    shared = MemorySpace(scope=MemoryScope.WORKSPACE, owner="lab")
    context = HostContext(clock=SystemClock(), environ={})
    host = memory_kind(memory, lambda call: shared)(McpServerSettings(name="memory", kind="memory"), context)
    await host.call(a_call("remember", text="The safe opens with tulip."))
    assert "tulip" in (await host.call(a_call("recall", "other", query="safe"))).text()
    assert [entry.space for entry in await memory.newest(MemoryFilter(spaces=None), limit=5)] == [shared]


async def test_a_memory_of_conversations_is_of_none_outside_them(memory):
    context = HostContext(clock=SystemClock(), environ={})
    host = memory_kind(memory, lambda call: None)(McpServerSettings(name="memory", kind="memory"), context)
    result = await host.call(a_call("remember", text="The safe opens with tulip."))
    assert result.failed
    assert "conversation" in result.text()
    assert await memory.newest(MemoryFilter(spaces=None), limit=5) == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("remember", {}),
        ("remember", {"text": ""}),
        ("remember", {"text": 5}),
        ("remember", {"text": "a\0b"}),
        ("remember", {"text": "a", "owner": "other"}),
        ("recall", {"query": "a", "limit": 1000}),
        ("recall", {"query": "a", "space": "other"}),
        ("forget", {"id": None}),
        ("forget", {}),
    ],
)
async def test_wrong_arguments_are_a_failure_that_a_model_can_read(host, tool, arguments):
    result = await host.call(a_call(tool, **arguments))
    assert result.failed
    assert result.text()


async def test_called_by_hand_it_has_no_memory(host):
    result = await host.call(a_call("recall", None, query="safe"))
    assert result.failed
    assert "caxton memory" in result.text()


async def test_a_tool_that_it_has_not_is_an_error(host):
    with pytest.raises(CaxtonError) as caught:
        await host.call(a_call("export"))
    assert caught.value.code is Code.TOOL_NOT_FOUND


async def test_it_needs_no_care(host):
    host.start()
    await host.restart()
    assert (host.health().status, host.logs()) == (HealthStatus.OK, [])
    await host.aclose()


async def test_it_stands_behind_the_permissions_as_all_tools_do(memory):
    clock = SystemClock()
    settings = ToolSettings(servers={"memory": McpServerSettings(name="memory", kind="memory")})

    async def called(tools: Catalogue, tool: str, **arguments: object) -> ToolResult:
        return await tools.call(a_call(tool, **arguments))

    async with open_tools(
        settings, clock=clock, new_id=IdSource(clock), environ=os.environ, kind_of=lambda kind: memory_kind(memory)
    ) as tools:
        tools.grant("helper", ["memory.recall"])
        assert [str(schema.name) for schema in await tools.available("helper")] == ["memory.recall"]
        assert (await called(tools, "remember", text="x")).error.code is Code.TOOL_DENIED
        assert (await called(tools, "recall", query="x")).text() == "Nothing was found."
