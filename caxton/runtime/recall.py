"""What an agent remembers, found for a turn and kept after it."""

import asyncio
import logging
from collections.abc import Sequence

from caxton.domain.agent import AgentDefinition, ContextStrategy, MemoryScope
from caxton.domain.errors import CaxtonError
from caxton.domain.memory import MemoryFilter, MemoryLimits, MemoryQuery, MemorySpace, NewMemory
from caxton.domain.message import Exchange, Message
from caxton.domain.ports.memory import Memory
from caxton.domain.turn import Recalled
from caxton.runtime.window import BYTES_A_TOKEN

log = logging.getLogger(__name__)

HEADING = "Context from earlier conversations:"
QUESTION_MARKS = ("?", "\uff1f", "؟")
TAG = "conversation"
"""Marks what was stored by itself, out of conversations."""
PERSISTING = 5.0
"""Seconds for which a reply may be held up by keeping what left the window."""


class Recall:
    """Recalls before a turn and stores after it, as the agent's `[memory]` says."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._noting: set[asyncio.Task[None]] = set()

    async def find(self, agent: AgentDefinition, request: Message) -> tuple[Recalled, ...]:
        """What fits the request best, within the agent's budget; nothing where memory fails, which is logged."""
        spaces = _spaces(agent, request)
        if not (spaces and request.text.strip()):
            return ()
        options = agent.memory
        query = MemoryQuery(text=request.text, filter=MemoryFilter(spaces=spaces), limit=options.recall_limit)
        try:
            found = await self._memory.search(query)
        except CaxtonError as error:
            log.warning("agent %s answers without its memory: %s", agent.name, error)
            return ()
        if found.warning:
            log.warning("agent %s: %s", agent.name, found.warning)
        hits = [Recalled(id=hit.entry.id, text=hit.entry.text, score=hit.score) for hit in found.hits]
        return within(hits, options.recall_tokens * BYTES_A_TOKEN)

    def using(self, agent: AgentDefinition, recalled: Sequence[Recalled]) -> None:
        """Note that these are of use, so that they are kept longer, beside the turn; a failure is logged."""
        if recalled:
            noting = asyncio.create_task(self._used(agent, recalled), name="memory use")
            self._noting.add(noting)
            noting.add_done_callback(self._noting.discard)

    async def _used(self, agent: AgentDefinition, recalled: Sequence[Recalled]) -> None:
        try:
            await self._memory.used([one.id for one in recalled])
        except CaxtonError as error:
            log.warning("agent %s could not note what it recalled: %s", agent.name, error)

    async def persist(self, agent: AgentDefinition, request: Message, fallen: Sequence[Exchange]) -> None:
        """Keep the exchanges that fell out of a conversation's window, those that are not kept yet.

        Where memory takes too long for that the next turn does it: they fall out of its window too.
        """
        try:
            async with asyncio.timeout(PERSISTING):
                await self._persist(conversation_space(request.conversation_id), fallen)
        except TimeoutError:
            log.warning("agent %s puts off keeping what left its window: the memory is slow", agent.name)
        except CaxtonError as error:
            log.warning("agent %s could not keep what left its window: %s", agent.name, error)

    async def store(self, agent: AgentDefinition, request: Message) -> None:
        """Keep what the agent was told, if it is to; a failure is logged and takes the reply from nobody.

        Questions are left out: they tell nothing, and would be the best fit for the same question asked again.
        """
        options, text = agent.memory, request.text.strip()
        if not (options.enabled and options.auto_store and text) or text.endswith(QUESTION_MARKS):
            return
        new = NewMemory(value=request.text, tags=(TAG,), subject=request.sender, source=request.id)
        limits = MemoryLimits(max_entries=options.max_entries, max_bytes=options.max_bytes, max_age=options.retention)
        try:
            await self._memory.remember(space_of(agent, request.conversation_id), [new], limits=limits)
        except CaxtonError as error:
            log.warning("agent %s could not remember message %s: %s", agent.name, request.id, error)

    async def _persist(self, space: MemorySpace, fallen: Sequence[Exchange]) -> None:
        new: list[NewMemory] = []
        for exchange in reversed(fallen):
            if await self._memory.get(space, exchange.request.id):
                break  # and so all before it
            asked, reply = exchange.request, exchange.reply
            new.append(
                NewMemory(
                    value=f"{asked.sender}: {asked.text}\n{reply.sender}: {reply.text}",
                    key=asked.id,
                    tags=(TAG,),
                    subject=asked.sender,
                    source=asked.id,
                )
            )
        if new:
            await self._memory.remember(space, new[::-1])


def _spaces(agent: AgentDefinition, request: Message) -> tuple[MemorySpace, ...]:
    """Where to look before a turn."""
    spaces = []
    if agent.memory.enabled and agent.memory.auto_recall:
        spaces.append(space_of(agent, request.conversation_id))
    if agent.conversation.strategy is ContextStrategy.PERSIST:
        spaces.append(conversation_space(request.conversation_id))
    return tuple(dict.fromkeys(spaces))


def conversation_space(conversation_id: str) -> MemorySpace:
    """Where a conversation's own past lies."""
    return MemorySpace(scope=MemoryScope.SESSION, owner=conversation_id)


def space_of(agent: AgentDefinition, conversation_id: str) -> MemorySpace:
    """Where the agent remembers in this conversation."""
    match agent.memory.scope:
        case MemoryScope.AGENT:
            return MemorySpace(scope=MemoryScope.AGENT, owner=agent.name)
        case MemoryScope.WORKSPACE:
            return MemorySpace(scope=MemoryScope.WORKSPACE, owner=agent.memory.workspace)
        case MemoryScope.GLOBAL:
            return MemorySpace(scope=MemoryScope.GLOBAL)
        case MemoryScope.SESSION:
            return conversation_space(conversation_id)


def in_words(recalled: Sequence[Recalled]) -> str:
    """What was recalled as the model reads it; empty where nothing was."""
    return "\n".join([HEADING, *(f"- {one.text}" for one in recalled)]) if recalled else ""


def within(recalled: Sequence[Recalled], size: int) -> tuple[Recalled, ...]:
    """The best of them that take no more than `size` bytes together; one that is too long is passed over."""
    kept = []
    for one in recalled:
        if (length := len(one.text.encode())) <= size:
            kept.append(one)
            size -= length
    return tuple(kept)
