"""The seam to what is kept of agents over restarts."""

from typing import Protocol

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.lifecycle import LifecycleEvent


class AgentStore(Protocol):
    def find(self, name: str) -> AgentRecord | None: ...

    async def all(self) -> list[AgentRecord]: ...

    async def add(self, record: AgentRecord) -> None:
        """Keep a new agent; a name that is kept already stays as it is."""
        ...

    async def accept(self, name: str, source: Source) -> None:
        """Remember the definition now in force."""
        ...

    async def desire(self, name: str, desired: DesiredState) -> None: ...

    async def remove(self, name: str) -> None:
        """Forget the agent and its events; nothing where there is none."""
        ...

    async def record(self, event: LifecycleEvent) -> None: ...

    async def events(self, name: str, limit: int) -> list[LifecycleEvent]:
        """The newest `limit` events of an agent, newest first."""
        ...
