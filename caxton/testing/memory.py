"""Stores that forget: message and agent store in memory, for tests that need neither a file nor a disk."""

from collections.abc import Iterable

import msgspec

from caxton.domain.agent import AgentRecord, DesiredState, Source
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.message import Conversation, Exchange, Message, MessageState, Performative, StoredMessage


class MemoryMessageStore:
    """Implements `ports.messages.MessageStore`."""

    def __init__(self) -> None:
        self._stored: dict[str, StoredMessage] = {}

    async def append(self, message: Message) -> None:
        self._stored.setdefault(message.id, StoredMessage(message=message, state=MessageState.ACCEPTED, attempts=0))

    async def begin(self, message_id: str) -> int:
        stored = self._stored[message_id]
        self._stored[message_id] = msgspec.structs.replace(stored, attempts=stored.attempts + 1)
        return stored.attempts + 1

    async def settle(self, message_id: str, state: MessageState, reply: Message | None) -> None:
        stored = self._stored.get(message_id)
        if stored is None or stored.state is not MessageState.ACCEPTED:
            return
        self._stored[message_id] = msgspec.structs.replace(stored, state=state)
        if reply:
            self._stored[reply.id] = StoredMessage(message=reply, state=MessageState.SETTLED, attempts=0)

    async def accepted(self) -> list[StoredMessage]:
        return [stored for stored in self._stored.values() if stored.state is MessageState.ACCEPTED]

    def find(self, message_id: str) -> StoredMessage | None:
        return self._stored.get(message_id)

    def reply_to(self, message_id: str) -> Message | None:
        return next((s.message for s in self._stored.values() if s.message.in_reply_to == message_id), None)

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        replies = [
            stored.message
            for stored in self._stored.values()
            if stored.message.conversation_id == conversation_id
            and stored.message.sender == agent
            and stored.message.performative is Performative.INFORM
        ]
        requests = [self._stored.get(reply.in_reply_to or "") for reply in replies]
        talk = [Exchange(request.message, reply) for request, reply in zip(requests, replies, strict=True) if request]
        return talk[-limit:]

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        chosen = [
            stored
            for stored in _older(self._stored.values(), before)
            if (agent is None or agent in (stored.message.sender, stored.message.receiver))
            and (conversation_id is None or stored.message.conversation_id == conversation_id)
        ]
        return chosen[: -limit - 1 : -1]

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        known = {stored.message.conversation_id for stored in self._stored.values()}
        found = [conversation for one in known if (conversation := self.conversation(one))]
        found = [one for one in found if agent is None or one.agent == agent]
        found.sort(key=lambda one: (one.updated_at, one.id), reverse=True)
        seen = next((index + 1 for index, one in enumerate(found) if one.id == before), 0)
        return found[seen : seen + limit]

    def conversation(self, conversation_id: str) -> Conversation | None:
        talk = [s.message for s in self._stored.values() if s.message.conversation_id == conversation_id]
        if not talk:
            return None
        return Conversation(
            id=conversation_id,
            agent=talk[0].receiver,
            messages=len(talk),
            created_at=talk[0].created_at,
            updated_at=talk[-1].created_at,
        )

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        doomed = [
            stored.message.id
            for stored in self._stored.values()
            if stored.state is not MessageState.ACCEPTED
            and (conversation_id is None or stored.message.conversation_id == conversation_id)
            and (agent is None or agent in (stored.message.sender, stored.message.receiver))
        ]
        for message_id in doomed:
            del self._stored[message_id]
        return len(doomed)


def _older(stored: Iterable[StoredMessage], before: str | None) -> Iterable[StoredMessage]:
    """What was stored before the message `before`, oldest first; all where that is None or unknown."""
    for one in stored:
        if one.message.id == before:
            return
        yield one


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
