"""What every agent store has to do. A new backend is one more id of the fixture `store`."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.messages import a_record

from caxton.domain.agent import DesiredState, Source
from caxton.domain.lifecycle import TRANSITIONS, AgentState, LifecycleEvent, Trigger
from caxton.domain.ports.agents import AgentStore
from caxton.storage.agents import SqliteAgentStore
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryAgentStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AgentStore]:
    if request.param == "memory":
        yield MemoryAgentStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteAgentStore(database)


def an_event(agent: str = "helper", at: float = 1.0, reason: str = "") -> LifecycleEvent:
    return LifecycleEvent(
        agent=agent, at=at, trigger=Trigger.LOAD, source=AgentState.UNLOADED, target=AgentState.LOADED, reason=reason
    )


class TestRecords:
    async def test_a_new_agent_is_kept_whole(self, store):
        record = a_record(source=Source(path="/agents/näme with spaces.toml", text='# 👋\nname = "helper"\r\n'))
        await store.add(record)
        assert store.find("helper") == record

    async def test_an_agent_that_is_not_there_is_not_found(self, store):
        assert store.find("nobody") is None
        assert await store.all() == []

    async def test_a_name_that_is_kept_keeps_its_id(self, store):
        first = a_record()
        await store.add(first)
        await store.add(a_record(id="another", source=Source(path="else", text="else")))
        assert store.find("helper") == first
        assert await store.all() == [first]

    async def test_all_of_them_are_listed(self, store):
        records = [a_record(name) for name in ("zoe", "amy", "mia")]
        for record in records:
            await store.add(record)
        assert sorted(await store.all(), key=lambda one: one.name) == sorted(records, key=lambda one: one.name)

    async def test_the_definition_in_force_is_the_last_one_accepted(self, store):
        await store.add(a_record())
        await store.add(a_record("other"))
        source = Source(path="/agents/moved.toml", text="changed")
        await store.accept("helper", source)
        assert store.find("helper") == a_record(source=source)
        assert store.find("other") == a_record("other")

    @pytest.mark.parametrize("desired", list(DesiredState))
    async def test_what_is_desired_is_remembered(self, store, desired):
        await store.add(a_record())
        await store.add(a_record("other"))
        await store.desire("helper", desired)
        assert store.find("helper").desired is desired
        assert store.find("other").desired is DesiredState.RUNNING

    async def test_nothing_is_made_of_a_name_that_is_not_kept(self, store):
        await store.accept("nobody", Source(path="p", text="t"))
        await store.desire("nobody", DesiredState.STOPPED)
        await store.remove("nobody")
        assert store.find("nobody") is None

    async def test_a_removed_agent_is_forgotten_with_its_events_and_may_come_back_as_new(self, store):
        for name in ("helper", "other"):
            await store.add(a_record(name))
            await store.record(an_event(name))
        await store.remove("helper")
        assert store.find("helper") is None
        assert await store.events("helper", 9) == []
        assert await store.all() == [a_record("other")]
        assert await store.events("other", 9) == [an_event("other")]
        again = a_record(id="new id")
        await store.add(again)
        assert store.find("helper") == again


class TestEvents:
    async def test_the_newest_come_first_and_no_more_than_asked_for(self, store):
        # At one time: their order is that in which they were recorded.
        events = [an_event(reason=str(number)) for number in range(5)]
        for event in events:
            await store.record(event)
            await store.record(an_event("other"))
        assert await store.events("helper", 3) == events[:1:-1]
        assert await store.events("helper", 9) == events[::-1]
        assert await store.events("nobody", 9) == []

    async def test_every_transition_there_is_can_be_recorded(self, store):
        events = [
            LifecycleEvent(
                agent="helper", at=float(at), trigger=trigger, source=source, target=target, reason="why\n👋"
            )
            for at, ((source, trigger), target) in enumerate(TRANSITIONS.items())
        ]
        for event in events:
            await store.record(event)
        assert msgspec.to_builtins(await store.events("helper", 99)) == msgspec.to_builtins(events[::-1])
