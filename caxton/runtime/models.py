"""Language models as agents use them: whatever is the same for every provider.

A request passes the limits of the agent and of the provider and the provider's circuit breaker, is tried again where
that can help, and is taken down in the ledger.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing

import msgspec
import stamina

from caxton.domain.completion import Capability, Completion, CompletionRequest
from caxton.domain.errors import Code, ProviderError
from caxton.domain.limits import ModelLimits
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.provider import DescribesModels, Provider, Streams, offers
from caxton.domain.ports.providers import Providers
from caxton.domain.settings import ProviderSettings
from caxton.domain.usage import ModelUse, UsageBy
from caxton.runtime.circuits import Circuit
from caxton.runtime.ledger import Ledger
from caxton.runtime.limiter import Limiter

PASSING = {
    Code.PROVIDER_MALFORMED,
    Code.PROVIDER_RATE_LIMITED,
    Code.PROVIDER_TIMEOUT,
    Code.PROVIDER_UNAVAILABLE,
}
"""Failures that another try may not meet."""
UNLIMITED = ModelLimits()
LONGEST_WAIT = 10.0
"""Seconds between two tries, at most; a provider that asks for more is not tried again."""


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request to one provider, and on whose behalf. `prompt_tokens` is what the prompt takes, or more."""

    provider: str
    request: CompletionRequest
    prompt_tokens: int
    agent: str
    conversation_id: str
    limits: ModelLimits = ModelLimits()


class LanguageModels:
    """The configured providers behind limits, breakers, retries and accounting. `backoff` is the first wait, s."""

    def __init__(
        self,
        *,
        providers: Providers,
        settings: Mapping[str, ProviderSettings],
        ledger: Ledger,
        clock: Clock,
        backoff: float = 0.25,
    ) -> None:
        self._providers = providers
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._backoff = backoff
        self._circuits: dict[str, Circuit] = {}
        self._limiters: dict[tuple[UsageBy, str], Limiter] = {}

    async def ask(self, call: ModelCall, on_text: Callable[[str], None] | None = None) -> Completion:
        """The completion. With `on_text` it is streamed where the provider can, and each piece handed over as it comes.

        ProviderError, or CaxtonError `budget_exhausted`. Nothing is tried again once a piece was handed over.
        """
        provider = self._providers.get(call.provider)
        settings = self._settings.get(call.provider)
        _check_capable(provider, call)
        told = False

        def hand_over(text: str) -> None:
            nonlocal told
            told = True
            if on_text:
                on_text(text)

        def worth_another(error: Exception) -> bool | float:
            if told or not isinstance(error, ProviderError) or error.code not in PASSING:
                return False
            if error.retry_after is None:
                return True
            return error.retry_after <= LONGEST_WAIT and max(error.retry_after, self._backoff)

        async def once() -> Completion:
            if on_text and offers(provider, Streams):
                return await _streamed(provider, call.request, hand_over)
            return await provider.complete(call.request)

        limiters = self._limiters_for(call)
        circuit = self.circuit(call.provider)
        circuit.check()
        try:
            completion = await self._tried(
                lambda: self._admitted(call, limiters, once), worth_another, settings.retries if settings else 0
            )
        except ProviderError as error:  # any other is ours, a spent budget say, and tells nothing of the endpoint
            circuit.tell(error)
            raise
        circuit.tell(None)
        self._ledger.note(self._use(call, completion))
        return completion

    async def _tried(
        self,
        once: Callable[[], Awaitable[Completion]],
        worth_another: Callable[[Exception], bool | float],
        retries: int,
    ) -> Completion:
        """What `once` returns the first time or, after a failure worth another try, one of so many times again."""
        try:
            return await once()
        except Exception as error:
            if not retries or worth_another(error) is False:
                raise
            failed = error
        # Made only now: preparing it takes as long as all else that is done here for a request, and few need it.
        tries = stamina.retry_context(
            on=worth_another,
            attempts=1 + retries,
            timeout=None,
            wait_initial=self._backoff,
            wait_max=LONGEST_WAIT,
            wait_jitter=self._backoff,
        )
        async for attempt in tries:
            with attempt:
                if attempt.num == 1:
                    raise failed
                return await once()
        raise AssertionError("the last try returns or raises")

    async def _admitted(
        self, call: ModelCall, limiters: list[Limiter], once: Callable[[], Awaitable[Completion]]
    ) -> Completion:
        async with AsyncExitStack() as stack:
            for limiter in limiters:
                await stack.enter_async_context(limiter.admitted(call.prompt_tokens))
            completion = await once()
        for limiter in limiters:
            limiter.used(call.prompt_tokens, completion.usage)
        return completion

    def circuit(self, name: str) -> Circuit:
        """The circuit breaker of a provider."""
        if (circuit := self._circuits.get(name)) is None:
            settings = self._settings.get(name)
            failures, pause = (settings.breaker_failures, settings.breaker_pause) if settings else (5, 30.0)
            circuit = self._circuits[name] = Circuit(name, failures=failures, pause=pause)
        return circuit

    def _limiters_for(self, call: ModelCall) -> list[Limiter]:
        """The agent's before the provider's: who waits for himself takes no place from others."""
        settings = self._settings.get(call.provider)
        wanted = [(UsageBy.AGENT, call.agent, call.limits)]
        if settings:
            wanted.append((UsageBy.PROVIDER, call.provider, settings.limits))
        return [self._limiter(*one) for one in wanted if one[2] != UNLIMITED]

    def _limiter(self, by: UsageBy, name: str, limits: ModelLimits) -> Limiter:
        limiter = self._limiters.get((by, name))
        if limiter is None or limiter.limits != limits:
            limiter = self._limiters[by, name] = Limiter(by, name, limits, self._ledger)
        return limiter

    def _use(self, call: ModelCall, completion: Completion) -> ModelUse:
        usage = completion.usage
        return ModelUse(
            at=self._clock.now(),
            agent=call.agent,
            conversation_id=call.conversation_id,
            provider=call.provider,
            model=completion.model,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
        )


async def _streamed(provider: Streams, request: CompletionRequest, on_text: Callable[[str], None]) -> Completion:
    async with aclosing(provider.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Completion):
                return piece
            on_text(piece.text)
    raise ProviderError(Code.PROVIDER_MALFORMED, "The provider's stream ended without a completion.")


def _check_capable(provider: Provider, call: ModelCall) -> None:
    """ProviderError `model_incapable` where the model is known to lack what the request needs."""
    if not offers(provider, DescribesModels):
        return
    request = call.request
    needs = {
        Capability.TOOLS: bool(request.tools),
        Capability.JSON_SCHEMA: request.response_schema is not None,
        Capability.VISION: any(message.images for message in request.messages),
    }
    if not any(needs.values()):
        return
    model = provider.describe(request.model)
    for capability, needed in needs.items():
        if needed and model.has(capability) is False:
            raise ProviderError(
                Code.MODEL_INCAPABLE,
                f"Model {model.name!r} of provider {call.provider!r} cannot do what this needs: {capability.value}.",
            )
