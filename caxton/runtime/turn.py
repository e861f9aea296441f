"""The turn loop: from a request to the reply."""

import asyncio
import logging

import msgspec

from caxton.domain.agent import AgentDefinition, ContextStrategy
from caxton.domain.completion import Completion
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative, answer_to
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.providers import Providers
from caxton.domain.ports.tools import Tools
from caxton.domain.turn import ProviderFailure, TurnStarted
from caxton.runtime.answering import Answering
from caxton.runtime.company import Company
from caxton.runtime.models import LanguageModels
from caxton.runtime.recall import Recall
from caxton.runtime.summaries import Summaries
from caxton.runtime.traces import Traces
from caxton.runtime.turn_state import Turn

log = logging.getLogger(__name__)

FINAL = {Code.PROVIDER_REFUSED}
"""Errors after which no other provider is asked: what one refuses is not hawked around."""


class TurnLoop:
    """Runs the turns of all agents; whatever belongs to one agent comes with the call."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: MessageStore,
        providers: Providers,
        models: LanguageModels,
        clock: Clock,
        new_id: IdSource,
        traces: Traces,
        summaries: Summaries,
        tools: Tools | None = None,
        memory: Memory | None = None,
        company: Company | None = None,
    ) -> None:
        self._bus = bus
        self._answering = Answering(
            bus=bus,
            store=store,
            providers=providers,
            models=models,
            clock=clock,
            new_id=new_id,
            summaries=summaries,
            tools=tools,
            company=company,
        )
        self._summaries = summaries
        self._recall = Recall(memory) if memory else None
        self._providers = providers
        self._clock = clock
        self._new_id = new_id
        self._traces = traces

    async def run(self, agent: AgentDefinition, request: Message) -> Message:
        """The reply to a request: an inform, or a failure where a CaxtonError kept the agent from answering.

        Any other exception is a crash and leaves as it is. Publishes what happens to whoever follows the request.
        """
        turn = Turn(agent, request, self._clock.now())
        allowed = agent.resources.max_execution_time
        left = allowed if request.reply_by is None else max(0.0, request.reply_by - self._clock.now())
        self._bus.publish(TurnStarted(request=request.id, agent=agent.name, conversation_id=request.conversation_id))
        try:
            async with asyncio.timeout(min(allowed, left)) as deadline:
                if self._recall:
                    turn.recalled = await self._recall.find(agent, request)
                    self._recall.using(agent, turn.recalled)
                completion = await self._answer(turn)
        except TimeoutError:
            if not deadline.expired():
                raise
            return self._failure(turn, _too_late(agent) if left < allowed else _too_long(agent))
        except CaxtonError as error:
            return self._failure(turn, error)
        self._traces.keep(turn.trace(model=completion.model, reply=completion.text))
        await self._keep(turn)
        return self._reply(request, Performative.INFORM, _content(turn, completion))

    def _reply(self, request: Message, performative: Performative, content: dict[str, object]) -> Message:
        return answer_to(request, performative, content, id=self._new_id(), now=self._clock.now())

    def _failure(self, turn: Turn, error: CaxtonError) -> Message:
        self._traces.keep(turn.trace(error=error.report()))
        return self._reply(turn.request, Performative.FAILURE, {"error": msgspec.to_builtins(error.report())})

    async def _keep(self, turn: Turn) -> None:
        """Let what was said, and what fell out of the window, be found again, as the agent wants it."""
        agent, request = turn.agent, turn.request
        if self._recall:
            await self._recall.store(agent, request)
        match agent.conversation.strategy:
            case ContextStrategy.SUMMARIZE if turn.fallen:
                self._summaries.add(agent, request.conversation_id, turn.fallen)
            case ContextStrategy.PERSIST if turn.fallen and self._recall:
                await self._recall.persist(agent, request, turn.fallen)

    async def _answer(self, turn: Turn) -> Completion:
        """The completion of the first of the agent's providers that gives one; else the error of the last."""
        chain = turn.agent.providers(self._providers.default)
        for name in chain:
            turn.begin(name)
            # The model that the agent names is one of the first provider's.
            agent = turn.agent if name == chain[0] else _without_model(turn.agent)
            try:
                return await self._answering.answer(turn, agent)
            except CaxtonError as error:
                if name == chain[-1] or error.code in FINAL or turn.first_token is not None:
                    if turn.fallbacks:
                        asked = ", ".join(f"{one.provider} ({one.error.code})" for one in turn.fallbacks)
                        error.why = f"{error.why} Asked before: {asked}.".strip()
                    raise
                turn.fallbacks += (ProviderFailure(provider=name, error=error.report()),)
                log.warning("agent %s: provider %s failed, the next is asked: %s", agent.name, name, error)
        raise AssertionError("an agent has at least one provider")


def _too_long(agent: AgentDefinition) -> CaxtonError:
    limit = agent.resources.max_execution_time
    detail = f"Agent {agent.name!r} did not finish within its max_execution_time of {limit:g} s."
    return CaxtonError(Code.TURN_TIMEOUT, detail)


def _too_late(agent: AgentDefinition) -> CaxtonError:
    detail = f"Agent {agent.name!r} did not finish by the time at which the reply was to be there."
    return CaxtonError(Code.DEADLINE_PASSED, detail)


def _content(turn: Turn, completion: Completion) -> dict[str, object]:
    """The content of the reply."""
    content: dict[str, object] = {
        "text": completion.text,
        "provider": turn.provider,
        "model": completion.model,
        "finish_reason": completion.finish_reason.value,
        "usage": msgspec.to_builtins(turn.usage),
        "duration": turn.duration,
    }
    if turn.fallbacks:
        content["fallbacks"] = msgspec.to_builtins(turn.fallbacks)
    if turn.steps:
        content["tools"] = [
            {"tool": step.tool, "failed": step.failed, "duration": step.duration} for step in turn.steps
        ]
    if turn.agent.llm.response_schema:
        content["data"] = msgspec.json.decode(completion.text)
    return content


def _without_model(agent: AgentDefinition) -> AgentDefinition:
    return msgspec.structs.replace(agent, llm=msgspec.structs.replace(agent.llm, model=None))
