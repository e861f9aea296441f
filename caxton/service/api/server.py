"""The server itself, seen from outside."""

import msgspec

from caxton.domain.errors import Code
from caxton.domain.health import ComponentHealth
from caxton.service.api.operation import Operation


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers. `uptime` is in seconds."""

    status: str
    version: str
    uptime: float


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether messages are taken, and how each part is."""

    ready: bool
    components: list[ComponentHealth]


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Which server this is. `started_at` is in seconds since the epoch, UTC."""

    version: str
    pid: int
    started_at: float
    data_dir: str
    agents_dir: str
    default_provider: str
    providers: list[str]
    agents: int


HEALTH = Operation(
    name="server.health",
    method="GET",
    path="/health",
    summary="Whether the process answers (liveness)",
    permission="public",
    response=Health,
)
READY = Operation(
    name="server.ready",
    method="GET",
    path="/ready",
    summary="Whether messages are taken, with each component (readiness)",
    permission="public",
    response=Readiness,
    errors=(Code.SERVER_STOPPING,),
)
INFO = Operation(
    name="server.info",
    method="GET",
    path="/server",
    summary="Version, directories and providers of this server",
    permission="server:read",
    response=ServerInfo,
)

OPERATIONS = (HEALTH, READY, INFO)
