"""The bus for tests: the one that the server has, over a store in memory, and with faults where a test wants them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from caxton.bus.local import LocalBus
from caxton.domain.bus_settings import BusSettings
from caxton.domain.capability import Capability
from caxton.domain.clock import SystemClock
from caxton.domain.ports.bus import BusObserver, Groups, Mailbox
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore
from caxton.testing.faults import Faults, FaultyMailbox, FaultyStore
from caxton.testing.messages import MemoryMessageStore

DEFAULTS = BusSettings()


@asynccontextmanager
async def open_test_bus(
    store: DeliveryStore | None = None,
    settings: BusSettings = DEFAULTS,
    *,
    clock: Clock | None = None,
    observers: Sequence[BusObserver] = (),
    groups: Groups | None = None,
    faults: Faults | None = None,
) -> AsyncIterator["TestBus"]:
    """A bus over `store`, or over one in memory, until the end of the block; then what was accepted is stored.

    With `faults` the store and every mailbox have them. After a crash the block ends as a killed process does: nothing
    that the bus still had to do is done, and the store has what it had. The next bus over it goes on from there.
    """
    beneath = store if store is not None else MemoryMessageStore()
    faulty = FaultyStore(beneath, faults) if faults else None
    bus = TestBus(
        faulty or beneath,
        settings,
        clock=clock or (faults.clock if faults else SystemClock()),
        observers=observers,
        groups=groups,
    )
    bus.faults = faults
    others = asyncio.all_tasks()
    try:
        yield bus
        if not bus.is_dead:
            await bus.finish()
    finally:
        if faulty and bus.is_dead:
            await faulty.landed()
            mine = asyncio.all_tasks() - others
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)


class TestBus(LocalBus):
    """A bus whose mailboxes have the faults of the test."""

    __test__ = False
    faults: Faults | None = None

    @property
    def is_dead(self) -> bool:
        """Whether the process that this bus plays has crashed."""
        return self.faults is not None and self.faults.dead.is_set()

    def register(self, address: str, mailbox: Mailbox, capabilities: Sequence[Capability] = ()) -> None:
        super().register(address, FaultyMailbox(mailbox, self.faults) if self.faults else mailbox, capabilities)
