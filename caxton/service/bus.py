"""The operations on the bus itself."""

from caxton.domain.ports.delivery import DeliveryStore
from caxton.domain.ports.observation import Metrics
from caxton.domain.statistics import Statistics


class BusService:
    """One method an operation of `service.api.bus`."""

    def __init__(self, *, metrics: Metrics, store: DeliveryStore) -> None:
        self._metrics = metrics
        self._store = store

    async def stats(self, *, receiver: str | None = None) -> Statistics:
        """The figures of now; what waits in the store is counted for it."""
        waiting = {receiver: await self._store.waiting(receiver)} if receiver else await self._store.receivers()
        return self._metrics.statistics(waiting, receiver=receiver)
