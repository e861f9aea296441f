"""Stores that forget: message and agent store in memory, for tests that need neither a file nor a disk."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.message import (
    Conversation,
    Erasure,
    Exchange,
    Message,
    MessageState,
    Performative,
    StoredMessage,
    Summary,
)
from caxton.domain.usage import ModelUse, UsageBy, UsageSum

T = TypeVar("T")


class MemoryMessageStore:
    """Implements `ports.messages.MessageStore`."""

    def __init__(self) -> None:
        self._stored: dict[str, StoredMessage] = {}
        self._agents: dict[str, str] = {}
        self._summaries: dict[tuple[str, str], Summary] = {}
        """Of each message's id the agent that it is to, or the reply of."""

    async def append(self, message: Message) -> Message:
        key = message.idempotency_key
        if key is not None and (earlier := self.keyed(receiver=message.receiver, sender=message.sender, key=key)):
            return earlier
        self._add(message, MessageState.ACCEPTED, message.receiver)
        return message

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        wanted = (receiver, sender, key)
        messages = (stored.message for stored in self._stored.values())
        return next((one for one in messages if (one.receiver, one.sender, one.idempotency_key) == wanted), None)

    async def begin(self, message_id: str) -> int:
        stored = self._stored.get(message_id)
        if stored is None:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {message_id!r}.")
        self._stored[message_id] = msgspec.structs.replace(stored, attempts=stored.attempts + 1)
        return stored.attempts + 1

    async def settle(self, message_id: str, state: MessageState, reply: Message | None) -> None:
        stored = self._stored.get(message_id)
        if stored is None or stored.state is not MessageState.ACCEPTED:
            return
        self._stored[message_id] = msgspec.structs.replace(stored, state=state)
        if reply:
            self._add(reply, MessageState.SETTLED, reply.sender)

    async def accepted(self, receiver: str) -> list[StoredMessage]:
        return [stored for stored in self._chosen(receiver, None) if stored.state is MessageState.ACCEPTED]

    def find(self, message_id: str) -> StoredMessage | None:
        return self._stored.get(message_id)

    def reply_to(self, message_id: str) -> Message | None:
        return next((s.message for s in self._stored.values() if s.message.in_reply_to == message_id), None)

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        talk = [
            Exchange(request.message, stored.message)
            for stored in self._chosen(agent, conversation_id)
            if stored.message.performative is Performative.INFORM
            and (request := self._stored.get(stored.message.in_reply_to or ""))
        ]
        return talk[-limit:] if limit else []

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        chosen = self._chosen(agent, conversation_id)
        return _page(chosen[::-1], [stored.message.id for stored in chosen[::-1]], limit, before)

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        # A dict of the ids from the newest message on: each once, in the order of its last message.
        known = dict.fromkeys(stored.message.conversation_id for stored in reversed(self._stored.values()))
        found = [conversation for one in known if (conversation := self.conversation(one))]
        found = [one for one in found if agent is None or one.agent == agent]
        return _page(found, [one.id for one in found], limit, before)

    def conversation(self, conversation_id: str) -> Conversation | None:
        talk = [stored.message for stored in self._chosen(None, conversation_id)]
        if not talk:
            return None
        return Conversation(
            id=conversation_id,
            agent=self._agents[talk[0].id],
            messages=len(talk),
            created_at=talk[0].created_at,
            updated_at=talk[-1].created_at,
        )

    def summary(self, conversation_id: str, agent: str) -> Summary | None:
        return self._summaries.get((conversation_id, agent))

    async def summarize(self, summary: Summary) -> None:
        if self._chosen(None, summary.conversation_id):
            self._summaries[summary.conversation_id, summary.agent] = summary

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        chosen = self._chosen(agent, conversation_id)
        doomed = [stored.message.id for stored in chosen if stored.state is not MessageState.ACCEPTED]
        for message_id in doomed:
            del self._stored[message_id]
        for place in [*self._summaries]:
            if conversation_id in (None, place[0]) and agent in (None, place[1]):
                del self._summaries[place]
        return len(doomed)

    async def taken_part(self, person: str) -> list[Conversation]:
        asked = (one.message for one in self._stored.values() if self._agents[one.message.id] != person)
        ids = {message.conversation_id for message in asked if message.sender == person}
        every = await self.conversations(agent=None, limit=len(self._stored))
        return [one for one in every if one.id in ids]

    async def forget(self, person: str) -> Erasure:
        ids = tuple(one.id for one in await self.taken_part(person))
        doomed = [stored for one in ids for stored in self._chosen(None, one)]
        for stored in doomed:
            del self._stored[stored.message.id]
        self._summaries = {place: kept for place, kept in self._summaries.items() if place[0] not in ids}
        waiting = sum(stored.state is MessageState.ACCEPTED for stored in doomed)
        return Erasure(conversations=ids, messages=len(doomed), waiting=waiting)

    def _add(self, message: Message, state: MessageState, agent: str) -> None:
        if message.id not in self._stored:
            self._stored[message.id] = StoredMessage(message=message, state=state, attempts=0)
            self._agents[message.id] = agent

    def _chosen(self, agent: str | None, conversation_id: str | None) -> list[StoredMessage]:
        return [
            stored
            for stored in self._stored.values()
            if (agent is None or self._agents[stored.message.id] == agent)
            and (conversation_id is None or stored.message.conversation_id == conversation_id)
        ]


def _page(items: list[T], ids: list[str], limit: int, before: str | None) -> list[T]:
    """The first `limit` items after the one whose id is `before`; none after one that there is not."""
    if before is None:
        return items[:limit]
    if before not in ids:
        return []
    begin = ids.index(before) + 1
    return items[begin : begin + limit]


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
