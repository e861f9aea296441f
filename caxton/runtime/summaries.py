"""Summaries: what falls out of a conversation's window, compressed by the agent's own provider.

Made after turns and beside them: a reply never waits for one. Until a summary is there, what fell out is forgotten.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import ChatMessage, CompletionRequest, Role
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Exchange, Summary
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.providers import Providers
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.runtime.window import BYTES_A_TOKEN, estimate_tokens

log = logging.getLogger(__name__)

LONGEST = 256
"""Tokens of a summary."""
MOST_READ = 6000
"""Tokens of a conversation that are summarised at once; what goes beyond is cut off at its end."""
TASK = (
    "Sum up the conversation below for someone who has to go on with it. Keep names, numbers, wishes, decisions and "
    "open questions. Write a few plain sentences and nothing else."
)
HEADING = "What was said earlier in this conversation, in short:"


class Summaries:
    """Summarises in the background, one conversation at a time; made by `open_summaries`."""

    def __init__(self, *, store: MessageStore, providers: Providers, models: LanguageModels, clock: Clock) -> None:
        self._store = store
        self._providers = providers
        self._models = models
        self._clock = clock
        self._due: dict[tuple[str, str], tuple[AgentDefinition, tuple[Exchange, ...]]] = {}
        self._some = asyncio.Event()

    def find(self, conversation_id: str, agent: str, size: int) -> str:
        """The summary as the model reads it; empty where there is none.

        Its end is cut off beyond `size` bytes: not every model keeps to what it is asked for, and the message and what
        was said last have to have their place in the window.
        """
        summary = self._store.summary(conversation_id, agent)
        return f"{HEADING} {summary.text.encode()[:size].decode(errors='ignore')}" if summary and size > 0 else ""

    def add(self, agent: AgentDefinition, conversation_id: str, fallen: Sequence[Exchange]) -> None:
        """Have the exchanges that fell out of the window summarised, soon, those that are not yet."""
        summary = self._store.summary(conversation_id, agent.name)
        if new := _after(fallen, summary):
            self._due[conversation_id, agent.name] = agent, new
            self._some.set()

    def forget(self, conversations: Collection[str]) -> None:
        """Summarise nothing of these conversations that is due."""
        for place in [place for place in self._due if place[0] in conversations]:
            del self._due[place]

    async def work(self) -> None:
        """Summarise what is due, until cancelled. One that fails is due again when more falls out."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._due:
                (conversation_id, _), (agent, fallen) = self._due.popitem()
                try:
                    await self._summarize(agent, conversation_id, fallen)
                except CaxtonError as error:
                    log.warning("agent %s: conversation %s is not summarised: %s", agent.name, conversation_id, error)

    async def _summarize(self, agent: AgentDefinition, conversation_id: str, fallen: tuple[Exchange, ...]) -> None:
        earlier = self._store.summary(conversation_id, agent.name)
        lines = [f"Earlier: {earlier.text}"] if earlier else []
        for exchange in fallen:
            lines += [
                f"{exchange.request.sender}: {exchange.request.text}",
                f"{exchange.reply.sender}: {exchange.reply.text}",
            ]
        text = "\n".join(lines).encode()[: MOST_READ * BYTES_A_TOKEN].decode(errors="ignore")
        messages = (ChatMessage(Role.SYSTEM, TASK), ChatMessage(Role.USER, text))
        completion = await self._models.ask(
            ModelCall(
                provider=agent.providers(self._providers.default)[0],
                request=CompletionRequest(
                    messages=messages, model=agent.llm.model, max_tokens=LONGEST, temperature=0.0
                ),
                prompt_tokens=estimate_tokens(messages),
                agent=agent.name,
                conversation_id=conversation_id,
                limits=agent.limits,
            )
        )
        if completion.text.strip():
            await self._store.summarize(
                Summary(
                    conversation_id=conversation_id,
                    agent=agent.name,
                    text=completion.text.strip(),
                    upto=fallen[-1].reply.id,
                    created_at=self._clock.now(),
                )
            )


@asynccontextmanager
async def open_summaries(
    *, store: MessageStore, providers: Providers, models: LanguageModels, clock: Clock
) -> AsyncIterator[Summaries]:
    """Summaries with a worker that ends with the block; what is due then is due again after the next turn."""
    summaries = Summaries(store=store, providers=providers, models=models, clock=clock)
    working = asyncio.create_task(summaries.work(), name="summaries")
    try:
        yield summaries
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _after(exchanges: Sequence[Exchange], summary: Summary | None) -> tuple[Exchange, ...]:
    """The exchanges that a summary does not speak of yet."""
    for place, exchange in enumerate(exchanges):
        if summary and exchange.reply.id == summary.upto:
            return tuple(exchanges[place + 1 :])
    return tuple(exchanges)
