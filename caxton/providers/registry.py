"""The configured providers, each made when it is first needed."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Lock

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth
from caxton.domain.ports.provider import Closes, Provider, ReportsHealth, Warms, offers
from caxton.domain.settings import ServerSettings
from caxton.domain.suggestion import did_you_mean
from caxton.providers.kinds import provider_kind


class ConfiguredProviders:
    """Implements `ports.providers.Providers`; made by `open_providers`, whose end closes what was made here."""

    def __init__(self, settings: ServerSettings, environ: Mapping[str, str], stack: AsyncExitStack) -> None:
        self.default = settings.default_provider
        self._settings = settings
        self._environ = environ
        self._stack = stack
        self._made: dict[str, Provider] = {}
        self._making = Lock()

    def names(self) -> Iterable[str]:
        return self._settings.providers

    def get(self, name: str) -> Provider:
        if provider := self._made.get(name):
            return provider
        settings = self._settings.providers.get(name)
        if settings is None:
            hint = did_you_mean(name, self.names())
            raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider {name!r}.", hint=hint)
        # Files are checked in threads, and ask what their provider can do.
        with self._making:
            if provider := self._made.get(name):
                return provider
            provider = provider_kind(settings.kind)(settings, environ=self._environ, data_dir=self._settings.data_dir)
            if isinstance(provider, Closes):
                self._stack.push_async_callback(provider.aclose)
            self._made[name] = provider
            return provider

    def warm(self, name: str) -> None:
        provider = self.get(name)
        if offers(provider, Warms):
            provider.warm()

    def health(self) -> list[ComponentHealth]:
        return [provider.health() for provider in [*self._made.values()] if offers(provider, ReportsHealth)]


@asynccontextmanager
async def open_providers(
    settings: ServerSettings, environ: Mapping[str, str] | None = None
) -> AsyncIterator[ConfiguredProviders]:
    """The providers of a server, until the end of the block. `environ` is the process's own unless given."""
    async with AsyncExitStack() as stack:
        yield ConfiguredProviders(settings, os.environ if environ is None else environ, stack)
