"""The operations on providers of language models."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, ModelInfo, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.provider import DescribesModels, ListsModels, Provider, Pulls, ReportsHealth, Streams, offers
from caxton.domain.ports.providers import Providers
from caxton.domain.ports.usage import UsageStore
from caxton.domain.settings import ServerSettings
from caxton.domain.usage import UsageBy, UsageSum
from caxton.runtime.ledger import DAY, Ledger
from caxton.runtime.models import LanguageModels
from caxton.service.api.providers import (
    CircuitView,
    ModelList,
    ProviderCheck,
    ProviderList,
    ProviderSummary,
    Pulled,
    PullEvent,
    PullModel,
    TodayView,
    UsageReport,
)

QUESTION = "Say hello in one word."
ANSWER_TOKENS = 16


class ProviderService:
    """One method an operation of `service.api.providers`, and `stream` for the streamed form of `pull`."""

    def __init__(
        self,
        *,
        settings: ServerSettings,
        providers: Providers,
        models: LanguageModels,
        ledger: Ledger,
        usage: UsageStore,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._models = models
        self._ledger = ledger
        self._usage = usage
        self._clock = clock

    async def list(self) -> ProviderList:
        return ProviderList(providers=[self._summary(name) for name in sorted(self._providers.names())])

    async def show(self, *, name: str) -> ProviderSummary:
        return self._summary(name)

    async def check(self, *, name: str, model: str | None = None) -> ProviderCheck:
        """Goes past limits and breaker, and tells the breaker how it went: an answer closes the circuit."""
        provider = self._providers.get(name)
        request = CompletionRequest(
            messages=(ChatMessage(Role.USER, QUESTION),), model=model, max_tokens=ANSWER_TOKENS, temperature=0.0
        )
        circuit = self._models.circuit(name)
        began = time.perf_counter()
        try:
            completion, first_token = await _timed(provider, request)
        except CaxtonError as error:
            circuit.tell(error)
            raise
        circuit.reset()
        return ProviderCheck(
            provider=name,
            model=completion.model,
            first_token=first_token,
            duration=time.perf_counter() - began,
            text=completion.text,
        )

    async def models(self, *, name: str) -> ModelList:
        provider = self._providers.get(name)
        if not offers(provider, ListsModels):
            raise _unsupported(name, "list its models")
        return ModelList(models=await provider.models())

    async def pull(self, *, name: str, body: PullModel) -> Pulled:
        async with aclosing(self.stream(name=name, body=body)) as events:
            async for event in events:
                if isinstance(event, Pulled):
                    return event
        raise AssertionError("a pull ends with Pulled or an error")

    async def stream(self, *, name: str, body: PullModel) -> AsyncGenerator[PullEvent]:
        provider = self._providers.get(name)
        if not offers(provider, Pulls):
            raise _unsupported(name, "fetch models")
        began = time.perf_counter()
        async with aclosing(provider.pull(body.model)) as progress:
            async for step in progress:
                yield step
        yield Pulled(provider=name, model=body.model, duration=time.perf_counter() - began)

    async def reset(self, *, name: str) -> ProviderSummary:
        self._providers.get(name)
        self._models.circuit(name).reset()
        return self._summary(name)

    async def usage(self, *, by: UsageBy = UsageBy.DAY, days: int = 30) -> UsageReport:
        await self._ledger.flush()
        since = (self._clock.now() // DAY - days + 1) * DAY
        sums = await self._usage.sums(by, since=since)
        total = {field: sum(getattr(one, field) for one in sums) for field in UsageSum.__struct_fields__[1:]}
        return UsageReport(by=by, since=since, sums=sums, total=UsageSum(key="total", **total))

    def _summary(self, name: str) -> ProviderSummary:
        provider = self._providers.get(name)
        settings = self._settings.providers[name]
        circuit = self._models.circuit(name)
        spent = self._ledger.spent(UsageBy.PROVIDER, name)
        health = provider.health() if offers(provider, ReportsHealth) else None
        if settings.api_key_file:
            key = f"file {settings.api_key_file}"
        else:
            key = f"environment variable {settings.api_key_env}" if settings.api_key_env else ""
        return ProviderSummary(
            name=name,
            kind=settings.kind,
            default=name == self._providers.default,
            model=_described(provider, settings.model),
            base_url=settings.base_url,
            key=key,
            circuit=CircuitView(
                state=circuit.state.value, failures=circuit.failures, remaining=round(circuit.remaining, 1)
            ),
            today=TodayView(tokens=spent.tokens, cost=spent.cost, unpriced=spent.unpriced),
            limits=settings.limits,
            health=health.status if health else None,
            detail=health.detail if health else "",
        )


async def _timed(provider: Provider, request: CompletionRequest) -> tuple[Completion, float | None]:
    """The completion, and the seconds until its first piece where the provider streams."""
    if not offers(provider, Streams):
        return await provider.complete(request), None
    began, first = time.perf_counter(), None
    async with aclosing(provider.stream(request)) as pieces:
        async for piece in pieces:
            first = first or time.perf_counter() - began
            if isinstance(piece, Completion):
                return piece, first
    raise CaxtonError(Code.PROVIDER_MALFORMED, "The provider's stream ended without a completion.")


def _described(provider: Any, model: str | None) -> ModelInfo:
    return provider.describe(model) if offers(provider, DescribesModels) else ModelInfo(name=model or "")


def _unsupported(name: str, what: str) -> CaxtonError:
    return CaxtonError(Code.NOT_SUPPORTED, f"Provider {name!r} cannot {what}.")
