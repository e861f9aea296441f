"""The turn loop: from a request to the reply, through context and provider."""

import asyncio
import time
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Delta
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.provider import Provider, Streams
from caxton.domain.ports.providers import Providers
from caxton.domain.prompt import render
from caxton.domain.turn import TextDelta, TurnStarted, TurnTrace
from caxton.runtime.traces import Traces
from caxton.runtime.window import ContextWindow, Prompt


class TurnLoop:
    """Runs the turns of all agents; whatever belongs to one agent comes with the call."""

    def __init__(
        self, *, bus: Bus, store: MessageStore, providers: Providers, clock: Clock, new_id: IdSource, traces: Traces
    ) -> None:
        self._bus = bus
        self._store = store
        self._providers = providers
        self._clock = clock
        self._new_id = new_id
        self._traces = traces
        self._window = ContextWindow()

    async def run(self, agent: AgentDefinition, request: Message) -> Message:
        """The reply to a request: an inform, or a failure where a CaxtonError kept the agent from answering.

        Any other exception is a crash and leaves as it is. Publishes what happens to whoever follows the request.
        """
        name = agent.llm_provider or self._providers.default
        trace = TurnTrace(
            request=request.id,
            agent=agent.name,
            agent_version=agent.version,
            conversation_id=request.conversation_id,
            provider=name,
            model=agent.llm.model or "",
            started_at=self._clock.now(),
            prompt=(),
            prompt_tokens=0,
            waited=max(0.0, self._clock.now() - request.created_at),
        )
        began = time.perf_counter()
        self._bus.publish(TurnStarted(request=request.id, agent=agent.name, conversation_id=request.conversation_id))
        try:
            async with asyncio.timeout(agent.resources.max_execution_time) as deadline:
                provider = self._providers.get(name)
                prompt = await self._prompt(agent, provider, request)
                trace = msgspec.structs.replace(
                    trace, prompt=prompt.messages, prompt_tokens=prompt.tokens, left_out=prompt.left_out
                )
                completion, first_token = await self._complete(agent, provider, prompt, request.id, began)
        except TimeoutError:
            if not deadline.expired():
                raise
            limit = agent.resources.max_execution_time
            error = CaxtonError(
                Code.TURN_TIMEOUT, f"Agent {agent.name!r} did not finish within its max_execution_time of {limit:g} s."
            )
            return self._failure(request, trace, error, began)
        except CaxtonError as error:
            return self._failure(request, trace, error, began)
        duration = time.perf_counter() - began
        trace = msgspec.structs.replace(
            trace,
            model=completion.model,
            prompt_tokens=completion.usage.prompt_tokens if completion.usage else trace.prompt_tokens,
            first_token=first_token,
            duration=duration,
            reply=completion.text,
        )
        self._traces.keep(trace)
        content = {
            "text": completion.text,
            "provider": name,
            "model": completion.model,
            "finish_reason": completion.finish_reason.value,
            "usage": msgspec.to_builtins(completion.usage),
            "duration": duration,
        }
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

    def _failure(self, request: Message, trace: TurnTrace, error: CaxtonError, began: float) -> Message:
        duration = time.perf_counter() - began
        self._traces.keep(msgspec.structs.replace(trace, error=error.report(), duration=duration))
        return self.failed(request, error)

    async def _prompt(self, agent: AgentDefinition, provider: Provider, request: Message) -> Prompt:
        text = self._user_text(agent, request)
        brought = request.content.get("history")
        if brought is not None:
            history = msgspec.convert(brought, tuple[ChatMessage, ...])
            return await self._window.given(agent, provider, history=history, text=text)
        limit = agent.conversation.max_turns
        stored = self._store.history(request.conversation_id, agent.name, limit)
        return await self._window.fit(
            agent,
            provider,
            conversation_id=request.conversation_id,
            history=stored,
            text=text,
            history_is_full=len(stored) == limit,
        )

    def _user_text(self, agent: AgentDefinition, request: Message) -> str:
        if agent.user_prompt_template is None:
            return request.text
        timestamp = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        values = {**agent.parameters, "request": request.text, "context": "", "timestamp": timestamp}
        return render(agent.user_prompt_template, values)

    async def _complete(
        self, agent: AgentDefinition, provider: Provider, prompt: Prompt, request: str, began: float
    ) -> tuple[Completion, float | None]:
        """The completion, and the seconds until its first piece where it was streamed."""
        asked = CompletionRequest(
            messages=prompt.messages,
            model=agent.llm.model,
            temperature=agent.llm.temperature,
            top_p=agent.llm.top_p,
            max_tokens=agent.llm.max_tokens,
            stop=agent.llm.stop,
            seed=agent.llm.seed,
        )
        if not (isinstance(provider, Streams) and self._bus.followed(request)):
            return await provider.complete(asked), None
        first_token = None
        async with aclosing(provider.stream(asked)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Delta):
                    first_token = first_token or time.perf_counter() - began
                    self._bus.publish(TextDelta(request=request, text=piece.text))
                else:
                    return piece, first_token
        raise CaxtonError(Code.PROVIDER_MALFORMED, "The provider's stream ended without a completion.")
