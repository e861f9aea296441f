"""Erasing conversations with what was kept of them beside their messages."""

from caxton.domain.agent import MemoryScope
from caxton.domain.memory import MemoryFilter, MemorySpace
from caxton.domain.ports.conversations import GroupStore
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore

PAGE = 500


class Eraser:
    """Erases messages, and before them the memories of their conversations: a failure of those leaves all to retry."""

    def __init__(self, store: MessageStore, memory: Memory | None, groups: GroupStore | None = None) -> None:
        self._store = store
        self._memory = memory
        self._groups = groups

    async def conversation(self, id: str) -> int:
        """How many messages there were. What waits for delivery stays, and so does who takes part in it now."""
        await self._forget([id])
        if self._groups:
            await self._groups.forget_departed(id)
        return await self._store.erase(conversation_id=id)

    async def whole_conversation(self, id: str) -> int:
        """The same, and nothing stays of who takes part and what was kept with it."""
        count = await self.conversation(id)
        if self._groups:
            await self._groups.erase(id)
        return count

    async def agent(self, name: str) -> int:
        """The same for all conversations that were begun with that agent, and its messages in others."""
        before: str | None = None
        while page := await self._store.conversations(agent=name, limit=PAGE, before=before):
            await self._forget([one.id for one in page])
            before = page[-1].id
        return await self._store.erase(agent=name)

    async def memory(self, name: str) -> None:
        """What the agent remembers by itself. What it shares, in a workspace or with all, stays."""
        await self._forget([name], MemoryScope.AGENT)

    async def _forget(self, owners: list[str], scope: MemoryScope = MemoryScope.SESSION) -> None:
        if self._memory:
            spaces = tuple(MemorySpace(scope=scope, owner=one) for one in owners)
            await self._memory.forget(MemoryFilter(spaces=spaces, expired=True))
