"""What providers have in common that speak to an endpoint by a wire."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from caxton.domain.completion import Completion, CompletionRequest, Delta, ModelInfo
from caxton.domain.settings import ProviderSettings
from caxton.providers.capable import check_capable
from caxton.providers.lazy_wire import LazyWire, Wire


class RemoteProvider(ABC):
    """Implements Provider, Streams, DescribesModels and Closes. The wire is opened by the first request."""

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        self._settings = settings
        self._environ = environ
        self._wire = LazyWire(settings.name, self._open)

    async def complete(self, request: CompletionRequest) -> Completion:
        wire = await self._ready_for(request)
        return await wire.complete(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        wire = await self._ready_for(request)
        async with aclosing(wire.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    @abstractmethod
    def describe(self, model: str | None) -> ModelInfo:
        """What is known of a model without asking for it."""

    async def aclose(self) -> None:
        await self._wire.aclose()

    @abstractmethod
    async def _open(self) -> Wire:
        """The wire to the endpoint; ProviderError where the settings do not suffice."""

    async def _ready_for(self, request: CompletionRequest) -> Wire:
        wire = await self._wire.get()
        check_capable(self._settings.name, self.describe(request.model), request)
        return wire


def described(settings: ProviderSettings, name: str) -> ModelInfo:
    """A model as the settings describe it."""
    return ModelInfo(
        name=name,
        context_length=settings.context_length,
        tools=settings.tools,
        vision=settings.vision,
        json_schema=settings.json_schema,
    )
