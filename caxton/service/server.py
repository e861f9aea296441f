"""The operations on the server itself."""

import os
from collections.abc import Callable, Sequence

from caxton.domain.health import ComponentHealth
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.providers import Providers
from caxton.domain.settings import ServerSettings
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.server import Health, Readiness, ServerInfo


class ServerService:
    """One method an operation of `service.api.server`. `checks` report on the parts the server cannot do without."""

    def __init__(
        self,
        *,
        settings: ServerSettings,
        version: str,
        supervisor: Supervisor,
        providers: Providers,
        clock: Clock,
        checks: Sequence[Callable[[], ComponentHealth]],
    ) -> None:
        self._settings = settings
        self._version = version
        self._supervisor = supervisor
        self._providers = providers
        self._clock = clock
        self._checks = checks
        self._started_at = clock.now()

    async def health(self) -> Health:
        return Health(status="ok", version=self._version, uptime=self._clock.now() - self._started_at)

    async def ready(self) -> Readiness:
        components = [*(check() for check in self._checks), *self._providers.health()]
        return Readiness(ready=not any(c.blocks_readiness for c in components), components=components)

    async def info(self) -> ServerInfo:
        return ServerInfo(
            version=self._version,
            pid=os.getpid(),
            started_at=self._started_at,
            data_dir=str(self._settings.data_dir),
            agents_dir=str(self._settings.agents_dir),
            default_provider=self._providers.default,
            providers=sorted(self._providers.names()),
            agents=sum(1 for _ in self._supervisor.all()),
        )
