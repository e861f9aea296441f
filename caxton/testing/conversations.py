"""A store of groups that forgets, for tests that need no disk."""

from collections.abc import Collection

import msgspec

from caxton.domain.conversation import Departed, Group, Participant, ParticipantKind
from caxton.domain.message import Conversation
from caxton.domain.ports.messages import MessageStore


class MemoryGroupStore:
    """Implements `ports.conversations.GroupStore`. `messages` is where what is said in the groups is stored."""

    def __init__(self, messages: MessageStore) -> None:
        self._messages = messages
        self._groups: dict[str, Group] = {}
        self._active: dict[str, float] = {}
        self._ever: dict[str, list[Participant]] = {}

    async def create(self, group: Group) -> bool:
        if group.id in self._groups:
            return False
        self._groups[group.id] = group
        self._active[group.id] = group.created_at
        self._ever[group.id] = list({one.name: one for one in reversed(group.participants)}.values())[::-1]
        return True

    def find(self, id: str) -> Group | None:
        group = self._groups.get(id)
        return self._now(group) if group else None

    async def join(self, id: str, participant: Participant) -> bool:
        if id not in self._groups:
            return False
        self._active[id] = max(self._active[id], participant.joined_at)
        if any(one.name == participant.name and one.left_at is None for one in self._ever[id]):
            return False
        self._ever[id].append(participant)
        return True

    async def leave(self, id: str, name: str, at: float) -> bool:
        for place, one in enumerate(self._ever.get(id, ())):
            if one.name == name and one.left_at is None:
                self._ever[id][place] = msgspec.structs.replace(one, left_at=at)
                return True
        return False

    async def close(self, id: str, at: float) -> None:
        if (group := self._groups.get(id)) and group.is_open:
            self._groups[id] = msgspec.structs.replace(group, closed_at=at)

    async def reopen(self, id: str, at: float) -> None:
        if (group := self._groups.get(id)) and not group.is_open:
            self._groups[id] = msgspec.structs.replace(group, closed_at=None)
            self._active[id] = at

    async def participations(self, id: str) -> list[Participant]:
        return list(self._ever.get(id, ()))

    async def of(self, name: str, *, limit: int, before: str | None = None) -> list[Group]:
        newest = list(self._groups)[::-1]
        if before is not None:
            newest = newest[newest.index(before) + 1 :] if before in newest else []
        groups = [self._now(self._groups[id]) for id in newest]
        return [group for group in groups if any(one.name == name for one in group.participants)][:limit]

    async def silent(self, *, limit: int) -> list[Group]:
        silent = (group for group in reversed(self._groups.values()) if group.is_open and not self._said(group))
        return [self._now(group) for group in silent][:limit]

    async def close_idle(self, now: float, *, idle: float | None) -> list[str]:
        closed = []
        for group in list(self._groups.values()):
            limit = idle if group.idle is None else group.idle
            said = self._said(group)
            active = max(self._active[group.id], said.updated_at if said else 0.0)
            if group.is_open and limit is not None and now - limit >= active:
                await self.close(group.id, now)
                closed.append(group.id)
        return sorted(closed)

    async def forget_departed(self, id: str) -> None:
        self._ever[id] = [one for one in self._ever.get(id, ()) if one.left_at is None]

    async def erase(self, id: str) -> bool:
        self._ever.pop(id, None)
        self._active.pop(id, None)
        return self._groups.pop(id, None) is not None

    async def forget(self, person: str, conversations: Collection[str]) -> Departed:
        def is_meant(one: Participant) -> bool:
            return one.name == person and one.kind is ParticipantKind.PERSON

        count = sum(is_meant(one) for ever in self._ever.values() for one in ever)
        gone = [id for id in conversations if await self.erase(id)]
        for id, ever in self._ever.items():
            self._ever[id] = [one for one in ever if not is_meant(one)]
        return Departed(groups=tuple(gone), participations=count)

    def _now(self, group: Group) -> Group:
        return msgspec.structs.replace(
            group, participants=tuple(one for one in self._ever[group.id] if one.left_at is None)
        )

    def _said(self, group: Group) -> Conversation | None:
        return self._messages.conversation(group.id)
