"""What the contract (`tests/contracts/test_agent_store.py`) does not say: that it is in the file."""

from support.messages import a_record

from caxton.domain.agent import DesiredState, Source
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger
from caxton.storage.agents import SqliteAgentStore
from caxton.storage.database import open_database

SOURCE = Source(path="/agents/“odd” name.toml", text="name = 'x'\n# \N{PILE OF POO}\r\n")


def an_event(at: float) -> LifecycleEvent:
    return LifecycleEvent(
        agent="helper", at=at, trigger=Trigger.FAIL, source=AgentState.RUNNING, target=AgentState.FAILED, reason="why"
    )


async def test_agents_and_their_events_are_there_at_the_next_opening(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteAgentStore(database)
        await store.add(a_record())
        await store.accept("helper", SOURCE)
        await store.desire("helper", DesiredState.STOPPED)
        for at in (1.5, 2.5):
            await store.record(an_event(at))
    async with open_database(tmp_path / "caxton.db") as database:
        store = SqliteAgentStore(database)
        assert store.find("helper") == a_record(source=SOURCE, desired=DesiredState.STOPPED)
        assert await store.events("helper", 10) == [an_event(2.5), an_event(1.5)]


async def test_the_newest_events_are_found_by_an_index(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        plan = database.read(
            lambda session: session.execute(
                "EXPLAIN QUERY PLAN SELECT at FROM lifecycle_events WHERE agent = 'a' ORDER BY seq DESC LIMIT 5"
            )
        )
    assert "USING INDEX lifecycle_events_by_agent" in plan[0][3]
    assert not any("TEMP B-TREE" in step[3] for step in plan)
