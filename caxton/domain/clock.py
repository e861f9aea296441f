"""The real clock."""

import asyncio
import time


class SystemClock:
    """Implements `ports.clock.Clock` with the machine's own time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
