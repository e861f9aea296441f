"""A conversation is erased with the memories of it."""

import pytest
from support.messages import a_request
from support.stores import add, settle

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemorySpace, NewMemory
from caxton.domain.message import MessageState
from caxton.memory.sqlite import open_sqlite_memory
from caxton.service.erasing import Eraser
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder
from caxton.testing.memory import MemoryMessageStore


@pytest.fixture
async def memory(tmp_path):
    clock = FakeClock()
    async with (
        open_database(tmp_path / "caxton.db") as database,
        open_sqlite_memory(database, WordEmbedder(), clock=clock, new_id=IdSource(clock)) as memory,
    ):
        for scope, owner in (("session", "a"), ("session", "b"), ("session", "c"), ("agent", "helper")):
            space = MemorySpace(scope=MemoryScope(scope), owner=owner)
            await memory.remember(space, [NewMemory(value=f"{scope} {owner}")])
        yield memory


@pytest.fixture
async def store():
    store = MemoryMessageStore()
    for conversation, agent in (("a", "helper"), ("b", "helper"), ("c", "other")):
        request = a_request(agent=agent, conversation_id=conversation)
        await add(store, request)
        await settle(store, request.id, MessageState.FAILED, None)
    return store


async def values(memory):
    return {entry.value for entry in await memory.newest(MemoryFilter(spaces=None), limit=9)}


async def test_of_a_conversation_its_own_memories_go_and_no_others(store, memory):
    assert await Eraser(store, memory).conversation("a") == 1
    assert await values(memory) == {"session b", "session c", "agent helper"}


async def test_of_an_agent_those_of_all_its_conversations_go(store, memory, monkeypatch):
    monkeypatch.setattr("caxton.service.erasing.PAGE", 1)
    assert await Eraser(store, memory).agent("helper") == 2
    assert await values(memory) == {"session c", "agent helper"}


async def test_of_an_agent_its_own_memory_goes_and_what_it_shares_stays(store, memory):
    for scope, owner in (("workspace", "helper"), ("global", ""), ("agent", "other")):
        space = MemorySpace(scope=MemoryScope(scope), owner=owner)
        await memory.remember(space, [NewMemory(value=f"{scope} {owner}")])
    before = await values(memory)
    await Eraser(store, memory).memory("helper")
    assert before - await values(memory) == {"agent helper"}


async def test_without_a_memory_messages_are_erased_alone(store):
    assert await Eraser(store, None).agent("helper") == 2


async def test_a_memory_out_of_reach_leaves_everything_for_another_try(store):
    class Away:
        async def forget(self, filter):
            raise CaxtonError(Code.MEMORY_UNAVAILABLE, "Away.")

    for erasing in (Eraser(store, Away()).conversation("a"), Eraser(store, Away()).agent("helper")):
        with pytest.raises(CaxtonError):
            await erasing
    assert store.conversation("a").messages == 1
