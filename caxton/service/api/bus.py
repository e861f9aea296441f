"""The bus in figures, seen from outside."""

import msgspec

from caxton.domain.statistics import Statistics
from caxton.service.api.operation import Operation


class StatsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`receiver` asks for the figures of one alone."""

    receiver: str | None = None


STATS = Operation(
    name="bus.stats",
    method="GET",
    path="/bus",
    summary="Counters, latencies, rates and queues of the bus, in all and by receiver, since the server started",
    permission="bus:read",
    response=Statistics,
    query=StatsQuery,
)

OPERATIONS = (STATS,)
