"""Deadlines by the product's clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError
from caxton.domain.ports.clock import Clock


@asynccontextmanager
async def deadline(clock: Clock, at: float, error: CaxtonError) -> AsyncIterator[None]:
    """Cut the block off at a time (seconds since the epoch, UTC), and raise the error there."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a deadline needs a task to cut off")
    passed = False

    async def cut() -> None:
        nonlocal passed
        await clock.sleep(max(0.0, at - clock.now()))
        passed = True
        task.cancel()

    timer = asyncio.create_task(cut(), name="deadline")
    try:
        yield
    except asyncio.CancelledError:
        # Somebody else may have cancelled the task as well: that goes before.
        if passed and task.uncancel() == 0:
            raise error from None
        raise
    finally:
        timer.cancel()
