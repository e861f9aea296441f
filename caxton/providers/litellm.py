"""The long tail of services, by way of LiteLLM: whatever its library has a name for, as in `anthropic/claude-…`.

The library is an extra, of two hundred megabytes with all it needs, and takes seconds to import: in a thread, when
first needed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caxton.domain.completion import ModelInfo
from caxton.domain.errors import Code, ProviderError
from caxton.domain.settings import ProviderSettings
from caxton.providers.keys import key_of
from caxton.providers.lazy_wire import Wire, open_wire
from caxton.providers.openai_request import defaults_of
from caxton.providers.remote import RemoteProvider, described

SECRETS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
"""How the environment variables end that LiteLLM reads keys from where the settings name none."""


class LiteLLMProvider(RemoteProvider):
    """Implements Warms too: the library takes seconds to load.

    What a model can do is in LiteLLM's tables, once they are there; the settings go before them.
    """

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        super().__init__(settings, environ=environ, data_dir=data_dir)
        self._tables: Mapping[str, Mapping[str, Any]] = {}

    def describe(self, model: str | None) -> ModelInfo:
        name = model or self._settings.model or ""
        known, told = self._entry(name), described(self._settings, name)
        return ModelInfo(
            name=name,
            context_length=told.context_length or _count(known.get("max_input_tokens")),
            tools=_first(told.tools, known.get("supports_function_calling")),
            vision=_first(told.vision, known.get("supports_vision")),
            json_schema=_first(told.json_schema, known.get("supports_response_schema")),
        )

    def warm(self) -> None:
        self._wire.warm()

    async def _open(self) -> Wire:
        settings = self._settings
        key = key_of(settings, self._environ)
        secrets = [value for name, value in self._environ.items() if name.upper().endswith(SECRETS)]
        try:
            wire = await open_wire(
                "caxton.providers.litellm_wire:LiteLLMWire",
                name=settings.name,
                key=key,
                secrets=[key] if key else secrets,
                timeout=settings.timeout,
                base_url=settings.base_url,
                model=settings.model,
                defaults=defaults_of(settings),
            )
        except ModuleNotFoundError as error:
            raise ProviderError(
                Code.PROVIDER_UNAVAILABLE,
                f"Provider {settings.name!r} is of kind 'litellm', and LiteLLM is not installed.",
                why=str(error),
                hint="Install it: `pip install 'caxton[litellm]'`.",
            ) from error
        self._tables = wire.client.model_cost
        return wire

    def _entry(self, name: str) -> Mapping[str, Any]:
        """What the tables have of a model; they list some with the service before the name, and some without."""
        service, _, plain = name.partition("/")
        if known := self._tables.get(name):
            return known
        known = self._tables.get(plain, {})
        return known if known.get("litellm_provider") == service else {}


def _first(settings: bool | None, table: object) -> bool | None:
    return settings if settings is not None else table if isinstance(table, bool) else None


def _count(tokens: object) -> int | None:
    return tokens if isinstance(tokens, int) and tokens > 0 else None
