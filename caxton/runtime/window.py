"""The context window: which part of a conversation the model is given.

The sliding strategy forgets the oldest exchanges first, and in strides: once the window is full it is cut back to a
part of the budget, and then grows again. Between two cuts every prompt begins as the one before did, so that a model
with a prompt cache has only the new exchange to read; forgetting one exchange at every turn would make it read the
whole window each time.
"""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import ChatMessage, Image, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Exchange
from caxton.domain.ports.provider import CountsTokens, DescribesModels, Provider, offers

ASSUMED_CONTEXT = 8192
"""Tokens we take a model to hold when neither the agent's file nor the provider says."""
RESERVED_SHARE = 4
"""A quarter of the window is kept for the answer where `max_tokens` does not say how long it may be."""
BYTES_A_TOKEN = 3
"""UTF-8 bytes that a token stands for at least, in most languages and models."""
STRIDE = 0.6
"""Share of the budget that a cut leaves filled."""
IMAGE_TOKENS = 1600
"""What a picture takes at most with the models in use; how they count differs."""
ANCHORS = 4096
"""How many conversations' cuts are remembered; a forgotten one costs a prompt read afresh, nothing else."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is sent.

    `tokens` is what it takes at most, counted only where that comes near the window; `left_out` says how many turns of
    the history were forgotten.
    """

    messages: tuple[ChatMessage, ...]
    tokens: int
    left_out: int = 0


def estimate_tokens(messages: Sequence[ChatMessage]) -> int:
    """An estimate for models whose tokenizer is not at hand, on the careful side for most languages and models."""
    return sum(
        -(-len(message.content.encode()) // BYTES_A_TOKEN) + 4 + IMAGE_TOKENS * len(message.images)
        for message in messages
    )


def most_tokens(messages: Sequence[ChatMessage]) -> int:
    """More than any byte-level tokenizer makes of these messages: a token is at least one byte."""
    return sum(len(message.content.encode()) + 16 + IMAGE_TOKENS * len(message.images) for message in messages)


class ContextWindow:
    """Fits conversations into windows, remembering for each where its last cut was."""

    def __init__(self) -> None:
        self._anchors: OrderedDict[str, str] = OrderedDict()

    async def fit(
        self,
        agent: AgentDefinition,
        provider: Provider,
        *,
        conversation_id: str,
        history: Sequence[Exchange],
        text: str,
        images: tuple[Image, ...] = (),
        overhead: int = 0,
        history_is_full: bool,
    ) -> Prompt:
        """The prompt for `text` after the stored `history`, oldest first.

        `history_is_full` tells that the conversation goes back further than `history` does; `overhead` is what goes
        out beside the messages, in tokens. CaxtonError `context_too_long` where even the text alone does not fit.
        """
        start = self._start(conversation_id, history, history_is_full)
        budget = max(1, self._budget(agent, provider) - overhead)
        given = [
            (ChatMessage(Role.USER, exchange.request.text), ChatMessage(Role.ASSISTANT, exchange.reply.text))
            for exchange in history[start:]
        ]
        prompt = await self._cut(agent, provider, given, ChatMessage(Role.USER, text, images), budget)
        start += len(given) - (len(prompt.messages) - 2) // 2
        if start and start < len(history):
            self._anchors[conversation_id] = history[start].reply.id
            self._anchors.move_to_end(conversation_id)
            if len(self._anchors) > ANCHORS:
                self._anchors.popitem(last=False)
        return msgspec.structs.replace(prompt, left_out=start)

    async def given(
        self,
        agent: AgentDefinition,
        provider: Provider,
        *,
        history: Sequence[ChatMessage],
        text: str,
        images: tuple[Image, ...] = (),
        overhead: int = 0,
    ) -> Prompt:
        """The prompt for `text` after a conversation that the caller brought along."""
        exchanges = [(message,) for message in history]
        last = ChatMessage(Role.USER, text, images)
        budget = max(1, self._budget(agent, provider) - overhead)
        return await self._cut(agent, provider, exchanges, last, budget)

    def room(self, agent: AgentDefinition, provider: Provider, used: int) -> int:
        """Tokens that the window has left for the prompt once so many are in it."""
        return max(0, self._budget(agent, provider) - used)

    def _start(self, conversation_id: str, history: Sequence[Exchange], history_is_full: bool) -> int:
        """Where to begin: at the last cut while it is within the history, else at the beginning or a new cut."""
        anchor = self._anchors.get(conversation_id)
        for index, exchange in enumerate(history):
            if exchange.reply.id == anchor:
                return index
        return len(history) - int(len(history) * STRIDE) if history_is_full else 0

    def _budget(self, agent: AgentDefinition, provider: Provider) -> int:
        limits = [agent.conversation.context_window]
        if offers(provider, DescribesModels):
            limits.append(provider.describe(agent.llm.model).context_length)
        window = min((limit for limit in limits if limit is not None), default=ASSUMED_CONTEXT)
        reserved = agent.llm.max_tokens or window // RESERVED_SHARE
        return max(1, window - min(reserved, window // 2))

    async def _cut(
        self,
        agent: AgentDefinition,
        provider: Provider,
        exchanges: Sequence[tuple[ChatMessage, ...]],
        last: ChatMessage,
        budget: int,
    ) -> Prompt:
        def prompt(first: int) -> tuple[ChatMessage, ...]:
            kept = (message for exchange in exchanges[first:] for message in exchange)
            system = ChatMessage(Role.SYSTEM, agent.system_prompt)
            return (system, *kept, last)

        whole = prompt(0)
        if (most := most_tokens(whole)) <= budget:
            return Prompt(messages=whole, tokens=most)
        if (tokens := await _count(provider, whole, agent.llm.model)) <= budget:
            return Prompt(messages=whole, tokens=tokens)
        # Fewer exchanges never take more tokens: bisect for the most that a cut window may hold.
        low, first = 1, len(exchanges)
        while low < first:
            middle = (low + first) // 2
            if await _count(provider, prompt(middle), agent.llm.model) <= budget * STRIDE:
                first = middle
            else:
                low = middle + 1
        shortest = prompt(first)
        tokens = await _count(provider, shortest, agent.llm.model)
        if tokens > budget:
            raise CaxtonError(
                Code.CONTEXT_TOO_LONG,
                f"The message and the system prompt take {tokens} tokens; the context window leaves room for {budget}.",
            )
        return Prompt(messages=shortest, tokens=tokens)


async def _count(provider: Provider, messages: tuple[ChatMessage, ...], model: str | None) -> int:
    if offers(provider, CountsTokens):
        return await provider.count_tokens(messages, model)
    return estimate_tokens(messages)
