"""The context window: which part of a conversation the model is given.

The sliding strategy forgets the oldest exchanges first, and in strides: once the window is full it is cut back to a
part of the budget, and then grows again. Between two cuts every prompt begins as the one before did, so that a model
with a prompt cache has only the new exchange to read; forgetting one exchange at every turn would make it read the
whole window each time.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import dropwhile, groupby

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import ChatMessage, Image, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Exchange
from caxton.domain.ports.provider import CountsTokens, DescribesModels, Provider, offers
from caxton.runtime.offered import wording

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
BETWEEN = "\n\n"
"""What is put between the things that several said one after another."""

Compose = Callable[[int], tuple[ChatMessage, ...]]
"""Makes the prompt of what was said from that place of the history on. A later place makes no longer prompt."""


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


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was said in a group, as one of its agents reads it: its own words are the assistant's.

    `id` is the message's. The `current` line is a user's, and what the agent is to answer: it is never left out.
    """

    id: str
    role: Role
    text: str
    current: bool = False


class ContextWindow:
    """Fits conversations into windows, remembering for each agent in each where its last cut was."""

    def __init__(self) -> None:
        self._anchors: OrderedDict[tuple[str, str], str] = OrderedDict()

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
        system, last = _system(agent), ChatMessage(Role.USER, text, images)

        def compose(first: int) -> tuple[ChatMessage, ...]:
            said = (
                message
                for exchange in history[first:]
                for message in (
                    ChatMessage(Role.USER, wording(exchange.request)),
                    ChatMessage(Role.ASSISTANT, exchange.reply.text),
                )
            )
            return (system, *said, last)

        ids = [exchange.reply.id for exchange in history]
        budget = max(1, self._budget(agent, provider) - overhead)
        return await self._anchored(agent, provider, conversation_id, ids, compose, budget, history_is_full)

    async def shared(
        self,
        agent: AgentDefinition,
        provider: Provider,
        *,
        conversation_id: str,
        lines: Sequence[Line],
        wrap: Callable[[str], str],
        images: tuple[Image, ...] = (),
        overhead: int = 0,
        history_is_full: bool,
    ) -> Prompt:
        """The prompt for the current one of the `lines`, which are what was said in a group, oldest first.

        What others said one after another becomes one message, so that roles alternate as every model's template has
        it; the last of them, what the agent is to answer, is what `wrap` makes of it. Otherwise as `fit`; `left_out`
        counts lines.
        """
        system = _system(agent)

        def compose(first: int) -> tuple[ChatMessage, ...]:
            kept = [line for place, line in enumerate(lines) if place >= first or line.current]
            *before, last = _alternating(kept)
            return (system, *before, ChatMessage(Role.USER, wrap(last.content), images))

        ids = [line.id for line in lines]
        budget = max(1, self._budget(agent, provider) - overhead)
        return await self._anchored(agent, provider, conversation_id, ids, compose, budget, history_is_full)

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
        system, last = _system(agent), ChatMessage(Role.USER, text, images)
        budget = max(1, self._budget(agent, provider) - overhead)
        _, prompt = await self._cut(
            agent, provider, range(len(history) + 1), lambda first: (system, *history[first:], last), budget
        )
        return prompt

    def room(self, agent: AgentDefinition, provider: Provider, used: int) -> int:
        """Tokens that the window has left for the prompt once so many are in it."""
        return max(0, self._budget(agent, provider) - used)

    async def _anchored(
        self,
        agent: AgentDefinition,
        provider: Provider,
        conversation_id: str,
        ids: Sequence[str],
        compose: Compose,
        budget: int,
        history_is_full: bool,
    ) -> Prompt:
        """The prompt from the last cut on, or from a new one, which is remembered by the id of what comes after it."""
        place = agent.name, conversation_id
        start = self._start(place, ids, history_is_full)
        first, prompt = await self._cut(agent, provider, range(start, len(ids) + 1), compose, budget)
        if first and first < len(ids):
            self._anchors[place] = ids[first]
            self._anchors.move_to_end(place)
            if len(self._anchors) > ANCHORS:
                self._anchors.popitem(last=False)
        return msgspec.structs.replace(prompt, left_out=first)

    def _start(self, place: tuple[str, str], ids: Sequence[str], history_is_full: bool) -> int:
        """Where to begin: at the last cut while it is within the history, else at the beginning or a new cut."""
        anchor = self._anchors.get(place)
        if anchor is not None and anchor in ids:
            return ids.index(anchor)
        return len(ids) - int(len(ids) * STRIDE) if history_is_full else 0

    def _budget(self, agent: AgentDefinition, provider: Provider) -> int:
        limits = [agent.conversation.context_window]
        if offers(provider, DescribesModels):
            limits.append(provider.describe(agent.llm.model).context_length)
        window = min((limit for limit in limits if limit is not None), default=ASSUMED_CONTEXT)
        reserved = agent.llm.max_tokens or window // RESERVED_SHARE
        return max(1, window - min(reserved, window // 2))

    async def _cut(
        self, agent: AgentDefinition, provider: Provider, places: range, compose: Compose, budget: int
    ) -> tuple[int, Prompt]:
        """Where to begin, out of `places`, and the prompt from there on: the whole of it where that fits."""
        whole = compose(places[0])
        if (most := most_tokens(whole)) <= budget:
            return places[0], Prompt(messages=whole, tokens=most)
        if (tokens := await _count(provider, whole, agent.llm.model)) <= budget:
            return places[0], Prompt(messages=whole, tokens=tokens)
        # Fewer of them never take more tokens: bisect for the most that a cut window may hold.
        low, first = min(places[0] + 1, places[-1]), places[-1]
        while low < first:
            middle = (low + first) // 2
            if await _count(provider, compose(middle), agent.llm.model) <= budget * STRIDE:
                first = middle
            else:
                low = middle + 1
        shortest = compose(first)
        tokens = await _count(provider, shortest, agent.llm.model)
        if tokens > budget:
            raise CaxtonError(
                Code.CONTEXT_TOO_LONG,
                f"The message and the system prompt take {tokens} tokens; the context window leaves room for {budget}.",
            )
        return first, Prompt(messages=shortest, tokens=tokens)


def _system(agent: AgentDefinition) -> ChatMessage:
    return ChatMessage(Role.SYSTEM, agent.system_prompt)


def _alternating(lines: Sequence[Line]) -> list[ChatMessage]:
    """The lines as messages of user and assistant in turn, the first and the last of them user's.

    What the agent said before anything that is left is left out, too. Where it has spoken last, it is told once more
    what it is to answer.
    """
    kept = list(dropwhile(lambda line: line.role is Role.ASSISTANT, lines))
    if kept[-1].role is Role.ASSISTANT:
        kept += [line for line in kept if line.current]
    runs = groupby(kept, lambda line: line.role)
    return [ChatMessage(role, BETWEEN.join(line.text for line in run)) for role, run in runs]


async def _count(provider: Provider, messages: tuple[ChatMessage, ...], model: str | None) -> int:
    if offers(provider, CountsTokens):
        return await provider.count_tokens(messages, model)
    return estimate_tokens(messages)
