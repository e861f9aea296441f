"""OpenAI, and whatever else speaks its protocol: LocalAI, vLLM, llama.cpp's server, hosted services."""

from caxton.domain.completion import ModelInfo
from caxton.providers.keys import key_of
from caxton.providers.lazy_wire import Wire, open_wire
from caxton.providers.openai_request import defaults_of
from caxton.providers.remote import RemoteProvider, described

DEFAULT_MODEL = "gpt-4o-mini"
"""What OpenAI itself is asked for where neither agent nor settings name a model."""
KEYLESS = "no-key-is-needed"
"""Sent as the key to endpoints that need none; the client insists on sending something."""


class OpenAIProvider(RemoteProvider):
    """Implements ListsModels too. What a model can do the protocol does not tell: the settings may."""

    def describe(self, model: str | None) -> ModelInfo:
        name = model or self._settings.model or ("" if self._settings.base_url else DEFAULT_MODEL)
        return described(self._settings, name)

    async def models(self) -> list[ModelInfo]:
        wire = await self._wire.get()
        return [self.describe(model.name) for model in await wire.models()]

    async def _open(self) -> Wire:
        settings = self._settings
        return await open_wire(
            name=settings.name,
            key=key_of(settings, self._environ, usual=None if settings.base_url else "OPENAI_API_KEY") or KEYLESS,
            timeout=settings.timeout,
            base_url=settings.base_url,
            model=settings.model or (None if settings.base_url else DEFAULT_MODEL),
            defaults=defaults_of(settings),
        )
