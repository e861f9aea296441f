"""Ollama, by its own protocol: it tells what its models can do, fetches them, and keeps them loaded as long as told."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from caxton.domain.completion import Completion, CompletionRequest, Delta, ModelInfo, PullProgress, ToolChoice
from caxton.domain.ports.provider import Pulls
from caxton.domain.settings import ProviderSettings
from caxton.providers.constrained import constrain, interpret, interpreted
from caxton.providers.keys import key_of
from caxton.providers.lazy_wire import Wire, open_wire
from caxton.providers.openai_request import defaults_of
from caxton.providers.remote import RemoteProvider, described

BASE_URL = "http://127.0.0.1:11434"


class OllamaProvider(RemoteProvider):
    """Implements ListsModels and Pulls too. Ollama counts no tokens but those of an answer.

    It cannot be told that tools must be called, and does not call any where the answer has to fit a schema: such
    requests are answered by constrained decoding, as the embedded model's.
    """

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        super().__init__(settings, environ=environ, data_dir=data_dir)
        self._known: dict[str, ModelInfo] = {}

    async def complete(self, request: CompletionRequest) -> Completion:
        if not _is_beyond(request):
            return await super().complete(request)
        return interpret(await super().complete(constrain(request)))

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        asked = constrain(request) if _is_beyond(request) else request
        async with aclosing(super().stream(asked)) as written:
            async for piece in interpreted(written) if asked is not request else written:
                yield piece

    def describe(self, model: str | None) -> ModelInfo:
        """What Ollama told of it at its first request, before that what the settings say."""
        name = model or self._settings.model or ""
        return self._known.get(name) or described(self._settings, name)

    async def models(self) -> list[ModelInfo]:
        return await (await self._wire.get()).models()

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        wire = await self._wire.get()
        assert isinstance(wire, Pulls)  # noqa: S101 - it is an OllamaWire
        async with aclosing(wire.pull(model)) as reports:
            async for report in reports:
                yield report

    async def _open(self) -> Wire:
        settings = self._settings
        fields = ("context_length", "tools", "vision", "json_schema")
        given = {name: getattr(settings, name) for name in fields}
        return await open_wire(
            "caxton.providers.ollama_wire:OllamaWire",
            name=settings.name,
            key=key_of(settings, self._environ),
            timeout=settings.timeout,
            base_url=settings.base_url or BASE_URL,
            model=settings.model,
            defaults=defaults_of(settings),
            options={} if settings.gpu_layers is None else {"num_gpu": settings.gpu_layers},
            overrides={name: value for name, value in given.items() if value is not None},
            keep_alive=settings.keep_alive,
            known=self._known,
        )


def _is_beyond(request: CompletionRequest) -> bool:
    """Whether Ollama has no words for what is asked."""
    must = request.tool_choice is ToolChoice.REQUIRED
    may = request.tool_choice is ToolChoice.AUTO
    return bool(request.tools) and (must or (may and request.response_schema is not None))
