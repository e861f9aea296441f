"""What is done in the background for a memory elsewhere, again and again, and put off while it fails."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError
from caxton.domain.ports.clock import Clock

log = logging.getLogger(__name__)

ROUND, LONGEST_PAUSE = 60.0, 60.0
"""Seconds between two rounds, and between two tries of one that fails, after 1, 2, 4 …, at most."""

MOMENT = 1.0
"""Seconds that the work may go on after its end was asked for: what is cut off may leave its connection open."""


class Upkeep:
    """`error` says why the last round failed, empty where it did not."""

    def __init__(self, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
        self.error = ""
        self._work = work
        self._clock = clock
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work during the block. At its end a round under way has a moment to come to its own."""
        task = asyncio.create_task(self._run(), name="memory upkeep")
        try:
            yield
        finally:
            self._ending.set()
            self._wake.set()
            await asyncio.wait([task], timeout=MOMENT)
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            self._wake.clear()
            try:
                await self._work()
                failures, self.error = 0, ""
            except CaxtonError as error:
                failures, self.error = failures + 1, error.message
                log.warning("memory upkeep is put off: %s %s", error, error.why)
            except Exception as error:
                # A fault, ours or an embedder's from elsewhere: what waits for this work must not wait for ever.
                failures, self.error = failures + 1, repr(error)
                log.exception("memory upkeep met a fault")
            if self._ending.is_set():
                return
            pause = self._clock.sleep(min(LONGEST_PAUSE, 2.0 ** (failures - 1)) if failures else ROUND)
            waits = {asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(pause)}
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
