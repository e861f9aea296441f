"""A message store that forgets, for tests that need neither a file nor a disk."""

from collections.abc import Iterable
from typing import TypeVar

from caxton.domain.message import (
    Conversation,
    Erasure,
    Exchange,
    MessageFilter,
    MessageState,
    Performative,
    StoredMessage,
    Summary,
)
from caxton.testing.dead_letters import MemoryDeadLetters
from caxton.testing.deliveries import TRACE, Held

T = TypeVar("T")


class MemoryMessageStore(MemoryDeadLetters):
    """Implements `ports.messages.MessageStore` and all of `ports.delivery`."""

    def __init__(self) -> None:
        super().__init__()
        self._summaries: dict[tuple[str, str], Summary] = {}

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        talk = [
            Exchange(request.message, held.message)
            for held in self._chosen(agent, conversation_id)
            if held.message.performative is Performative.INFORM and (request := self._held.get(held.in_reply_to or ""))
        ]
        return talk[-limit:] if limit else []

    def summary(self, conversation_id: str, agent: str) -> Summary | None:
        return self._summaries.get((conversation_id, agent))

    async def summarize(self, summary: Summary) -> None:
        if self._chosen(None, summary.conversation_id):
            self._summaries[summary.conversation_id, summary.agent] = summary

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        chosen = [held.stored for held in reversed(self._chosen(agent, conversation_id))]
        return _page(chosen, [stored.message.id for stored in chosen], limit, before)

    async def search(self, wanted: MessageFilter, *, limit: int, before: str | None = None) -> list[StoredMessage]:
        every = await self.messages(agent=wanted.agent, conversation_id=wanted.conversation_id, limit=len(self._held))
        fitting = [stored for stored in every if _fits(stored, wanted)]
        # A page ends before a message that need not fit itself.
        ids = [stored.message.id for stored in every]
        if before is not None:
            behind = set(ids[ids.index(before) + 1 :]) if before in ids else set()
            fitting = [stored for stored in fitting if stored.message.id in behind]
        return fitting[:limit]

    async def traced(self, trace_id: str, *, limit: int) -> list[StoredMessage]:
        return [held.stored for held in self._traced({trace_id})][:limit]

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        # A dict of the ids from the newest message on: each once, in the order of its last message.
        known = dict.fromkeys(held.message.conversation_id for held in reversed(self._held.values()))
        found = [conversation for one in known if (conversation := self.conversation(one))]
        found = [one for one in found if agent is None or one.agent == agent]
        return _page(found, [one.id for one in found], limit, before)

    def conversation(self, conversation_id: str) -> Conversation | None:
        talk = self._chosen(None, conversation_id)
        if not talk:
            return None
        return Conversation(
            id=conversation_id,
            agent=talk[0].agent,
            messages=len(talk),
            created_at=talk[0].message.created_at,
            updated_at=talk[-1].message.created_at,
        )

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        chosen = self._chosen(agent, conversation_id)
        doomed = [held for held in chosen if held.state is not MessageState.ACCEPTED]
        self._delete_all(doomed)
        for place in [*self._summaries]:
            if conversation_id in (None, place[0]) and agent in (None, place[1]):
                del self._summaries[place]
        if conversation_id is None and agent is not None:
            self._state = {place: value for place, value in self._state.items() if place[0] != agent}
        return len(doomed)

    async def taken_part(self, person: str) -> list[Conversation]:
        ids = {held.message.conversation_id for held in self._asked_by(person)}
        every = await self.conversations(agent=None, limit=len(self._held))
        return [one for one in every if one.id in ids]

    async def forget(self, person: str) -> Erasure:
        ids = tuple(one.id for one in await self.taken_part(person))
        traces = {held.message.trace[TRACE] for held in self._asked_by(person) if held.message.trace}
        doomed = {held.message.id: held for one in ids for held in self._chosen(None, one)}
        doomed |= {held.message.id: held for held in self._traced(traces)}
        self._delete_all(doomed.values())
        touched = {held.message.conversation_id for held in doomed.values()}
        self._summaries = {place: kept for place, kept in self._summaries.items() if place[0] not in touched}
        waiting = sum(held.state is MessageState.ACCEPTED for held in doomed.values())
        return Erasure(conversations=ids, messages=len(doomed), waiting=waiting)

    def _asked_by(self, person: str) -> Iterable[Held]:
        return [held for held in self._held.values() if held.message.sender == person != held.agent]

    def _traced(self, traces: set[str]) -> list[Held]:
        return [held for held in self._held.values() if held.message.trace and held.message.trace[TRACE] in traces]

    def _chosen(self, agent: str | None, conversation_id: str | None) -> list[Held]:
        return [
            held
            for held in self._held.values()
            if (agent is None or held.agent == agent)
            and (conversation_id is None or held.message.conversation_id == conversation_id)
        ]


def _fits(stored: StoredMessage, wanted: MessageFilter) -> bool:
    message = stored.message
    return (
        wanted.state in (None, stored.state)
        and wanted.performative in (None, message.performative)
        and wanted.sender in (None, message.sender)
        and (wanted.since is None or message.created_at >= wanted.since)
    )


def _page(items: list[T], ids: list[str], limit: int, before: str | None) -> list[T]:
    """The first `limit` items after the one whose id is `before`; none after one that there is not."""
    if before is None:
        return items[:limit]
    if before not in ids:
        return []
    begin = ids.index(before) + 1
    return items[begin : begin + limit]
