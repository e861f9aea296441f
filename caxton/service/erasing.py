"""Erasing conversations with what was kept of them beside their messages."""

from caxton.domain.agent import MemoryScope
from caxton.domain.memory import MemoryFilter, MemorySpace
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore

PAGE = 500


class Eraser:
    """Erases messages, and before them the memories of their conversations: a failure of those leaves all to retry."""

    def __init__(self, store: MessageStore, memory: Memory | None) -> None:
        self._store = store
        self._memory = memory

    async def conversation(self, id: str) -> int:
        """How many messages there were. What waits for delivery stays."""
        await self._forget([id])
        return await self._store.erase(conversation_id=id)

    async def agent(self, name: str) -> int:
        """The same for all conversations that were begun with that agent, and its messages in others."""
        before: str | None = None
        while page := await self._store.conversations(agent=name, limit=PAGE, before=before):
            await self._forget([one.id for one in page])
            before = page[-1].id
        return await self._store.erase(agent=name)

    async def _forget(self, conversations: list[str]) -> None:
        if self._memory:
            talks = tuple(MemorySpace(scope=MemoryScope.SESSION, owner=one) for one in conversations)
            await self._memory.forget(MemoryFilter(spaces=talks, expired=True))
