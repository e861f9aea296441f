"""What is kept of agents, in the embedded database."""

from typing import Any

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger
from caxton.domain.ports.database import Database

FIND = "SELECT name, id, desired, source_path, source_text, created_at FROM agents WHERE name = ?"
ALL = "SELECT name, id, desired, source_path, source_text, created_at FROM agents ORDER BY name"
ADD = """
INSERT INTO agents (name, id, desired, source_path, source_text, created_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO NOTHING
"""
ACCEPT = "UPDATE agents SET source_path = ?, source_text = ? WHERE name = ?"
DESIRE = "UPDATE agents SET desired = ? WHERE name = ?"
REMOVE = "DELETE FROM agents WHERE name = ?"
REMOVE_EVENTS = "DELETE FROM lifecycle_events WHERE agent = ?"
RECORD = """
INSERT INTO lifecycle_events (agent, at, "trigger", source, target, reason) VALUES (?, ?, ?, ?, ?, ?)
"""
EVENTS = """
SELECT agent, at, "trigger", source, target, reason FROM lifecycle_events
WHERE agent = ? ORDER BY seq DESC LIMIT ?
"""


class SqliteAgentStore:
    """Implements `ports.agents.AgentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str) -> AgentRecord | None:
        rows = self._database.read(lambda session: session.execute(FIND, (name,)))
        return _record(rows[0]) if rows else None

    async def all(self) -> list[AgentRecord]:
        return [_record(row) for row in await self._database.scan(lambda session: session.execute(ALL))]

    async def add(self, record: AgentRecord) -> None:
        source = record.source
        row = (record.name, record.id, record.desired.value, source.path, source.text, record.created_at)
        await self._database.write(lambda session: session.execute(ADD, row))

    async def accept(self, name: str, source: Source) -> None:
        await self._database.write(lambda session: session.execute(ACCEPT, (source.path, source.text, name)))

    async def desire(self, name: str, desired: DesiredState) -> None:
        await self._database.write(lambda session: session.execute(DESIRE, (desired.value, name)))

    async def remove(self, name: str) -> None:
        await self._database.write(
            lambda session: (session.execute(REMOVE, (name,)), session.execute(REMOVE_EVENTS, (name,)))
        )

    async def record(self, event: LifecycleEvent) -> None:
        row = (event.agent, event.at, event.trigger.value, event.source.value, event.target.value, event.reason)
        await self._database.write(lambda session: session.execute(RECORD, row))

    async def events(self, name: str, limit: int) -> list[LifecycleEvent]:
        rows = await self._database.scan(lambda session: session.execute(EVENTS, (name, limit)))
        return [
            LifecycleEvent(
                agent=agent,
                at=at,
                trigger=Trigger(trigger),
                source=AgentState(source),
                target=AgentState(target),
                reason=reason,
            )
            for agent, at, trigger, source, target, reason in rows
        ]


def _record(row: tuple[Any, ...]) -> AgentRecord:
    name, id, desired, path, text, created_at = row
    return AgentRecord(
        id=id,
        name=name,
        desired=DesiredState(desired),
        source=Source(path=path, text=text),
        created_at=created_at,
    )
