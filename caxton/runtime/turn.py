"""The turn loop: from a request to the reply, through context and provider."""

import asyncio
import logging
import time
from datetime import UTC, datetime

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, ResponseSchema
from caxton.domain.errors import CaxtonError, Code, ErrorReport, ProviderError
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.provider import Provider
from caxton.domain.ports.providers import Providers
from caxton.domain.prompt import render
from caxton.domain.turn import ProviderFailure, TextDelta, TurnStarted, TurnTrace
from caxton.runtime.images import images_in
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.runtime.traces import Traces
from caxton.runtime.window import ContextWindow, Prompt

log = logging.getLogger(__name__)

FINAL = {Code.PROVIDER_REFUSED}
"""Errors after which no other provider is asked: what one refuses is not hawked around."""


class Turn:
    """One turn as it runs: which provider is being asked, with what, and what has been so far."""

    def __init__(self, agent: AgentDefinition, request: Message, now: float) -> None:
        self.agent = agent
        self.request = request
        self.provider = ""
        self.prompt = Prompt(messages=(), tokens=0)
        self.fallbacks: tuple[ProviderFailure, ...] = ()
        self.first_token: float | None = None
        self._began = time.perf_counter()
        self._started_at = now

    @property
    def duration(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def begin(self, provider: str) -> None:
        """Ask this provider now."""
        self.provider = provider
        self.prompt = Prompt(messages=(), tokens=0)

    def trace(
        self, *, model: str = "", prompt_tokens: int | None = None, reply: str = "", error: ErrorReport | None = None
    ) -> TurnTrace:
        """The whole turn, which ends now."""
        return TurnTrace(
            request=self.request.id,
            agent=self.agent.name,
            agent_version=self.agent.version,
            conversation_id=self.request.conversation_id,
            provider=self.provider,
            model=model or self.agent.llm.model or "",
            started_at=self._started_at,
            prompt=self.prompt.messages,
            prompt_tokens=self.prompt.tokens if prompt_tokens is None else prompt_tokens,
            left_out=self.prompt.left_out,
            waited=max(0.0, self._started_at - self.request.created_at),
            first_token=self.first_token,
            duration=self.duration,
            fallbacks=self.fallbacks,
            reply=reply,
            error=error,
        )


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
    ) -> None:
        self._bus = bus
        self._store = store
        self._providers = providers
        self._models = models
        self._clock = clock
        self._new_id = new_id
        self._traces = traces
        self._window = ContextWindow()

    async def run(self, agent: AgentDefinition, request: Message) -> Message:
        """The reply to a request: an inform, or a failure where a CaxtonError kept the agent from answering.

        Any other exception is a crash and leaves as it is. Publishes what happens to whoever follows the request.
        """
        turn = Turn(agent, request, self._clock.now())
        self._bus.publish(TurnStarted(request=request.id, agent=agent.name, conversation_id=request.conversation_id))
        try:
            async with asyncio.timeout(agent.resources.max_execution_time) as deadline:
                completion = await self._answer(turn)
        except TimeoutError:
            if not deadline.expired():
                raise
            limit = agent.resources.max_execution_time
            error = CaxtonError(
                Code.TURN_TIMEOUT, f"Agent {agent.name!r} did not finish within its max_execution_time of {limit:g} s."
            )
            return self._failure(turn, error)
        except CaxtonError as error:
            return self._failure(turn, error)
        usage = completion.usage
        self._traces.keep(
            turn.trace(
                model=completion.model,
                prompt_tokens=usage.prompt_tokens if usage else turn.prompt.tokens,
                reply=completion.text,
            )
        )
        content: dict[str, object] = {
            "text": completion.text,
            "provider": turn.provider,
            "model": completion.model,
            "finish_reason": completion.finish_reason.value,
            "usage": msgspec.to_builtins(usage),
            "duration": turn.duration,
        }
        if turn.fallbacks:
            content["fallbacks"] = msgspec.to_builtins(turn.fallbacks)
        if agent.llm.response_schema:
            content["data"] = msgspec.json.decode(completion.text)
        return self.reply(request, Performative.INFORM, content)

    def reply(self, request: Message, performative: Performative, content: dict[str, object]) -> Message:
        """A message that answers `request`."""
        return Message(
            id=self._new_id(),
            performative=performative,
            sender=request.receiver,
            receiver=request.sender,
            conversation_id=request.conversation_id,
            created_at=self._clock.now(),
            content=content,
            in_reply_to=request.id,
            trace=request.trace,
            durability=request.durability,
        )

    def failed(self, request: Message, error: CaxtonError) -> Message:
        """The failure that answers `request`."""
        return self.reply(request, Performative.FAILURE, {"error": msgspec.to_builtins(error.report())})

    def _failure(self, turn: Turn, error: CaxtonError) -> Message:
        self._traces.keep(turn.trace(error=error.report()))
        return self.failed(turn.request, error)

    async def _answer(self, turn: Turn) -> Completion:
        """The completion of the first of the agent's providers that gives one; else the error of the last."""
        chain = turn.agent.providers(self._providers.default)
        for name in chain:
            turn.begin(name)
            # The model that the agent names is one of the first provider's.
            agent = turn.agent if name == chain[0] else _without_model(turn.agent)
            try:
                return await self._ask(turn, agent)
            except CaxtonError as error:
                if name == chain[-1] or error.code in FINAL or turn.first_token is not None:
                    if turn.fallbacks:
                        asked = ", ".join(f"{one.provider} ({one.error.code})" for one in turn.fallbacks)
                        error.why = f"{error.why} Asked before: {asked}.".strip()
                    raise
                turn.fallbacks += (ProviderFailure(provider=name, error=error.report()),)
                log.warning("agent %s: provider %s failed, the next is asked: %s", agent.name, name, error)
        raise AssertionError("an agent has at least one provider")

    async def _ask(self, turn: Turn, agent: AgentDefinition) -> Completion:
        turn.prompt = await self._prompt(agent, self._providers.get(turn.provider), turn.request)
        schema = agent.llm.response_schema
        call = ModelCall(
            provider=turn.provider,
            request=CompletionRequest(
                messages=turn.prompt.messages,
                model=agent.llm.model,
                temperature=agent.llm.temperature,
                top_p=agent.llm.top_p,
                max_tokens=agent.llm.max_tokens,
                stop=agent.llm.stop,
                seed=agent.llm.seed,
                response_schema=ResponseSchema(schema=schema) if schema else None,
            ),
            prompt_tokens=turn.prompt.tokens,
            agent=agent.name,
            conversation_id=turn.request.conversation_id,
            limits=agent.limits,
        )

        def on_text(text: str) -> None:
            turn.first_token = turn.first_token or turn.duration
            self._bus.publish(TextDelta(request=turn.request.id, text=text))

        completion = await self._models.ask(call, on_text if self._bus.followed(turn.request.id) else None)
        if schema:
            _check_json(completion)
        return completion

    async def _prompt(self, agent: AgentDefinition, provider: Provider, request: Message) -> Prompt:
        text = self._user_text(agent, request)
        images = images_in(request)
        brought = request.content.get("history")
        if brought is not None:
            history = msgspec.convert(brought, tuple[ChatMessage, ...])
            return await self._window.given(agent, provider, history=history, text=text, images=images)
        limit = agent.conversation.max_turns
        stored = self._store.history(request.conversation_id, agent.name, limit)
        return await self._window.fit(
            agent,
            provider,
            conversation_id=request.conversation_id,
            history=stored,
            text=text,
            images=images,
            history_is_full=len(stored) == limit,
        )

    def _user_text(self, agent: AgentDefinition, request: Message) -> str:
        if agent.user_prompt_template is None:
            return request.text
        timestamp = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        values = {**agent.parameters, "request": request.text, "context": "", "timestamp": timestamp}
        return render(agent.user_prompt_template, values)


def _without_model(agent: AgentDefinition) -> AgentDefinition:
    return msgspec.structs.replace(agent, llm=msgspec.structs.replace(agent.llm, model=None))


def _check_json(completion: Completion) -> None:
    """ProviderError where an answer that was to be JSON is none."""
    try:
        msgspec.json.decode(completion.text)
    except msgspec.DecodeError as error:
        cut = completion.finish_reason is FinishReason.LENGTH
        raise ProviderError(
            Code.PROVIDER_MALFORMED,
            f"Model {completion.model!r} was to answer with JSON and did not.",
            why="The answer was cut off at `max_tokens`." if cut else str(error),
            hint="Raise `max_tokens` in `[llm]`." if cut else "Choose a model that can be held to a JSON schema.",
        ) from error
