"""Time, as an argument."""

from typing import Protocol


class Clock(Protocol):
    """Where the product reads the time and waits; a test's clock does both without waiting."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...
