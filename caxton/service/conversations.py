"""The operations on conversations."""

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Conversation
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore
from caxton.service.api.conversations import ConversationList, ConversationReset, ConversationView
from caxton.service.api.messages import MessageView
from caxton.service.erasing import Eraser


class ConversationService:
    """One method an operation of `service.api.conversations`."""

    def __init__(self, *, store: MessageStore, memory: Memory | None = None) -> None:
        self._store = store
        self._eraser = Eraser(store, memory)

    async def list(self, *, agent: str | None = None, limit: int = 50, before: str | None = None) -> ConversationList:
        page = await self._store.conversations(agent=agent, limit=limit, before=before)
        return ConversationList(conversations=page, next=page[-1].id if len(page) == limit else None)

    async def show(self, *, id: str, limit: int = 100) -> ConversationView:
        conversation = self._get(id)
        stored = await self._store.messages(agent=None, conversation_id=id, limit=limit)
        return ConversationView(conversation=conversation, messages=[MessageView.of(one) for one in reversed(stored)])

    async def reset(self, *, id: str) -> ConversationReset:
        self._get(id)
        return ConversationReset(id=id, messages_erased=await self._eraser.conversation(id))

    def _get(self, id: str) -> Conversation:
        if conversation := self._store.conversation(id):
            return conversation
        raise CaxtonError(Code.CONVERSATION_NOT_FOUND, f"There is no conversation {id!r}.")
