"""Stores that forget: agents and usage in memory, for tests that need neither a file nor a disk."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.usage import ModelUse, UsageBy, UsageSum
from caxton.testing.messages import MemoryMessageStore

__all__ = ["MemoryAgentStore", "MemoryMessageStore", "MemoryUsageStore"]


class MemoryAgentStore:
    """Implements `ports.agents.AgentStore`."""

    def __init__(self) -> None:
        self._records: dict[str, AgentRecord] = {}
        self._events: list[LifecycleEvent] = []

    def find(self, name: str) -> AgentRecord | None:
        return self._records.get(name)

    async def all(self) -> list[AgentRecord]:
        return list(self._records.values())

    async def add(self, record: AgentRecord) -> None:
        self._records.setdefault(record.name, record)

    async def accept(self, name: str, source: Source) -> None:
        self._change(name, source=source)

    async def desire(self, name: str, desired: DesiredState) -> None:
        self._change(name, desired=desired)

    async def remove(self, name: str) -> None:
        self._records.pop(name, None)
        self._events = [event for event in self._events if event.agent != name]

    async def record(self, event: LifecycleEvent) -> None:
        self._events.append(event)

    async def events(self, name: str, limit: int) -> list[LifecycleEvent]:
        return [event for event in reversed(self._events) if event.agent == name][:limit]

    def _change(self, name: str, **fields: object) -> None:
        if record := self._records.get(name):
            self._records[name] = msgspec.structs.replace(record, **fields)


class MemoryUsageStore:
    """Implements `ports.usage.UsageStore`."""

    def __init__(self) -> None:
        self.uses: list[ModelUse] = []

    async def record(self, uses: Sequence[ModelUse]) -> None:
        self.uses += uses

    async def anonymise(self, conversations: Collection[str], *, prefix: str) -> int:
        meant = [n for n, use in enumerate(self.uses) if _is_of(use.conversation_id, conversations, prefix)]
        for number in meant:
            self.uses[number] = msgspec.structs.replace(self.uses[number], conversation_id="")
        return len(meant)

    async def sums(self, by: UsageBy, *, since: float, until: float | None = None) -> list[UsageSum]:
        grouped: dict[str, list[ModelUse]] = {}
        for use in self.uses:
            if since <= use.at and (until is None or use.at < until):
                grouped.setdefault(_usage_key(by, use), []).append(use)
        sums = [
            UsageSum(
                key=key,
                completions=len(uses),
                prompt_tokens=sum(use.prompt_tokens or 0 for use in uses),
                completion_tokens=sum(use.completion_tokens or 0 for use in uses),
                cost=sum(use.cost or 0.0 for use in uses),
                unmetered=sum(use.prompt_tokens is None or use.completion_tokens is None for use in uses),
                unpriced=sum(use.cost is None for use in uses),
            )
            for key, uses in sorted(grouped.items())
        ]
        if by is UsageBy.DAY:
            return sums[::-1]
        return sorted(sums, key=lambda one: (-one.cost, -one.prompt_tokens - one.completion_tokens))


def _is_of(conversation: str, conversations: Collection[str], prefix: str) -> bool:
    return conversation in conversations or conversation.startswith(prefix)


def _usage_key(by: UsageBy, use: ModelUse) -> str:
    match by:
        case UsageBy.AGENT:
            return use.agent
        case UsageBy.CONVERSATION:
            return use.conversation_id
        case UsageBy.DAY:
            return datetime.fromtimestamp(use.at, UTC).date().isoformat()
        case UsageBy.MODEL:
            return f"{use.provider}/{use.model}"
        case UsageBy.PROVIDER:
            return use.provider
