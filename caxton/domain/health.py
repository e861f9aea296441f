"""How the parts of a server are."""

from enum import StrEnum

import msgspec


class HealthStatus(StrEnum):
    """`ok` works; `loading` will; `idle` is not needed yet; `degraded` works in part; `failed` does not."""

    OK = "ok"
    LOADING = "loading"
    IDLE = "idle"
    DEGRADED = "degraded"
    FAILED = "failed"


class ComponentHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part. `required` tells whether the server is ready without it."""

    name: str
    status: HealthStatus
    detail: str = ""
    required: bool = False

    @property
    def blocks_readiness(self) -> bool:
        return self.required and self.status in (HealthStatus.LOADING, HealthStatus.FAILED)
