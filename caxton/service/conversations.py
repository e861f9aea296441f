"""The operations on conversations."""

from collections.abc import AsyncGenerator, Callable

import msgspec

from caxton.domain.address import AddressKind, read_address
from caxton.domain.conversation import Group, Participant, ParticipantKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import ANONYMOUS, IdSource
from caxton.domain.message import Conversation
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.conversations import GroupStore
from caxton.domain.ports.messages import MessageStore
from caxton.runtime.images import read_image
from caxton.service.api.conversations import (
    ConversationEntry,
    ConversationList,
    ConversationReset,
    ConversationView,
    CreateConversation,
    GroupEvent,
    GroupReplies,
    Participation,
    SpeakToGroup,
)
from caxton.service.api.messages import MessageView
from caxton.service.erasing import Eraser
from caxton.service.speaking import Speaking

NEW_CONVERSATION = "new"
"""What asks for another conversation wherever one is named."""
LONGEST_NAME = 200
"""Characters of an id, a title or the name of a person."""
LARGEST_METADATA = 16_384
"""Bytes of a conversation's metadata as JSON."""


class ConversationService:
    """One method an operation of `service.api.conversations`, and `stream` for the streamed form of `send`.

    `expect_agent` raises `agent_not_found` for a name that no agent has.
    """

    def __init__(
        self,
        *,
        store: MessageStore,
        groups: GroupStore,
        bus: Bus,
        clock: Clock,
        new_id: IdSource,
        expect_agent: Callable[[str], object],
        eraser: Eraser,
    ) -> None:
        self._store = store
        self._groups = groups
        self._bus = bus
        self._clock = clock
        self._new_id = new_id
        self._expect_agent = expect_agent
        self._eraser = eraser

    async def list(
        self,
        *,
        agent: str | None = None,
        participant: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> ConversationList:
        if participant is not None:
            groups = await self._groups.of(participant, limit=limit, before=before)
            entries = [self._entry(group) for group in groups if agent is None or agent in group.agents]
            return ConversationList(conversations=entries, next=groups[-1].id if len(groups) == limit else None)
        page = await self._store.conversations(agent=agent, limit=limit, before=before)
        silent = [] if before else await self._groups.silent(limit=limit)
        return ConversationList(
            conversations=[ConversationEntry.of(one, self._groups.find(one.id)) for one in page],
            next=page[-1].id if len(page) == limit else None,
            silent=[ConversationEntry.of_silent(one) for one in silent if agent is None or agent in one.agents],
        )

    async def create(self, *, body: CreateConversation) -> Group:
        now = self._clock.now()
        agents = [self._participant(name, ParticipantKind.AGENT, now) for name in body.participants]
        people = [self._participant(name, ParticipantKind.PERSON, now) for name in body.people]
        names = [one.name for one in (*agents, *people)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise CaxtonError(Code.BODY_INVALID, f"{twice!r} is to take part twice.")
        if body.id is not None and _checked("id", body.id) == NEW_CONVERSATION:
            raise CaxtonError(
                Code.BODY_INVALID, f"A conversation cannot be called {body.id!r}.", hint="Leave `id` out."
            )
        group = Group(
            id=body.id or self._new_id(),
            created_at=now,
            title=_checked("title", body.title, least=0),
            metadata=_checked_metadata(body.metadata),
            history=body.history,
            order=body.order,
            idle=body.idle,
            participants=(*agents, *people),
        )
        if self._store.conversation(group.id) or not await self._groups.create(group):
            raise CaxtonError(Code.CONVERSATION_EXISTS, f"There is a conversation {group.id!r}.")
        return group

    async def show(self, *, id: str, limit: int = 100) -> ConversationView:
        conversation, group = self._find(id)
        stored = await self._store.messages(agent=None, conversation_id=id, limit=limit)
        entry = ConversationEntry.of(conversation, group) if conversation else self._entry(self._group(id))
        events = Participation.of(await self._groups.participations(id)) if group else []
        return ConversationView(
            conversation=entry, messages=[MessageView.of(one) for one in reversed(stored)], events=events
        )

    async def send(self, *, id: str, body: SpeakToGroup) -> GroupReplies:
        return await self._speaking(id, body).replies()

    async def stream(self, *, id: str, body: SpeakToGroup) -> AsyncGenerator[GroupEvent]:
        """The replies as they come. Raises before the first event what `send` raises."""
        events = self._speaking(id, body).events()
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    async def join(self, *, id: str, name: str, kind: ParticipantKind = ParticipantKind.AGENT) -> Group:
        """Repeating it changes nothing. A talk of two becomes a group by it, of its agent and the newcomer."""
        group = self._open(id)
        participant = self._participant(name, kind, self._clock.now())
        await self._groups.create(group)  # unless it is there: then it is a talk that was none so far
        await self._groups.join(id, participant)
        return self._group(id)

    async def leave(self, *, id: str, name: str) -> Group:
        if not await self._groups.leave(self._group(id).id, name, self._clock.now()):
            raise CaxtonError(Code.PARTICIPANT_NOT_FOUND, f"{name!r} does not take part in conversation {id!r}.")
        return self._group(id)

    async def close(self, *, id: str) -> Group:
        await self._groups.close(self._group(id).id, self._clock.now())
        return self._group(id)

    async def reopen(self, *, id: str) -> Group:
        await self._groups.reopen(self._group(id).id, self._clock.now())
        return self._group(id)

    async def reset(self, *, id: str) -> ConversationReset:
        self._find(id)
        return ConversationReset(id=id, messages_erased=await self._eraser.conversation(id))

    async def delete(self, *, id: str) -> ConversationReset:
        self._find(id)
        return ConversationReset(id=id, messages_erased=await self._eraser.whole_conversation(id))

    def _speaking(self, id: str, body: SpeakToGroup) -> Speaking:
        group = self._open(id)
        sender = _checked("sender", body.sender or ANONYMOUS)
        if not body.text.strip():
            raise CaxtonError(Code.BODY_INVALID, "`text` is empty; agents need something to answer.")
        agents = [agent for agent in group.agents if agent != sender]
        if not agents:
            raise CaxtonError(
                Code.PARTICIPANT_NOT_FOUND, f"No agent takes part in conversation {id!r} that can answer."
            )
        content: dict[str, object] = {"text": body.text}
        for url in body.images:
            read_image(url)
        if body.images:
            content["images"] = [*body.images]
        return Speaking(
            group,
            agents,
            sender=sender,
            content=content,
            rounds=body.rounds,
            bus=self._bus,
            clock=self._clock,
            new_id=self._new_id,
        )

    def _participant(self, name: str, kind: ParticipantKind, now: float) -> Participant:
        if kind is ParticipantKind.AGENT:
            self._expect_agent(name)
        elif read_address(_checked("name", name)).kind is not AddressKind.AGENT:
            raise CaxtonError(Code.BODY_INVALID, f"{name!r} is the address of several; nobody can be called so.")
        return Participant(name=name, kind=kind, joined_at=now)

    def _find(self, id: str) -> tuple[Conversation | None, Group | None]:
        """What is said in a conversation and who takes part in it: at least one of them."""
        conversation, group = self._store.conversation(id), self._groups.find(id)
        if not (conversation or group):
            raise CaxtonError(Code.CONVERSATION_NOT_FOUND, f"There is no conversation {id!r}.")
        return conversation, group

    def _group(self, id: str) -> Group:
        """The group of that id; a talk of two is one of its agent alone, which is not kept."""
        conversation, group = self._find(id)
        if group or not conversation:
            assert group  # noqa: S101 - one of the two is there
            return group
        agent = Participant(name=conversation.agent, kind=ParticipantKind.AGENT, joined_at=conversation.created_at)
        return Group(id=id, created_at=conversation.created_at, participants=(agent,))

    def _open(self, id: str) -> Group:
        group = self._group(id)
        if not group.is_open:
            raise CaxtonError(Code.CONVERSATION_CLOSED, f"Conversation {id!r} is closed.")
        return group

    def _entry(self, group: Group) -> ConversationEntry:
        conversation = self._store.conversation(group.id)
        return ConversationEntry.of(conversation, group) if conversation else ConversationEntry.of_silent(group)


def _checked(field: str, value: str, *, least: int = 1) -> str:
    if not least <= len(value) <= LONGEST_NAME or not value.isprintable():
        raise CaxtonError(
            Code.BODY_INVALID,
            f"`{field}` has to be {least} to {LONGEST_NAME} printable characters, not {value[:80]!r}.",
        )
    return value


def _checked_metadata(metadata: dict[str, object]) -> dict[str, object]:
    try:
        size = len(msgspec.json.encode(metadata))
    except UnicodeEncodeError as error:
        raise CaxtonError(Code.BODY_INVALID, "`metadata` holds half a surrogate pair.", why=str(error)) from error
    if size > LARGEST_METADATA:
        raise CaxtonError(Code.BODY_INVALID, f"`metadata` takes {size} bytes; at most {LARGEST_METADATA} are kept.")
    return metadata
