import asyncio

import pytest

from caxton.bus.deadline import deadline
from caxton.domain.errors import CaxtonError, Code
from caxton.testing.clock import FakeClock

LATE = CaxtonError(Code.REPLY_TIMEOUT, "Late.")


async def wait_until(clock, at):
    async with deadline(clock, at, LATE):
        await asyncio.Event().wait()


async def test_the_block_is_cut_off_at_its_time_and_no_sooner():
    clock = FakeClock()
    waiting = asyncio.create_task(wait_until(clock, clock.now() + 10))
    await clock.advance(9)
    assert not waiting.done()
    await clock.advance(1)
    with pytest.raises(CaxtonError) as raised:
        await waiting
    assert raised.value is LATE


async def test_a_block_that_ends_in_time_goes_on_undisturbed():
    clock = FakeClock()
    async with deadline(clock, clock.now() + 1, LATE):
        await asyncio.sleep(0)
    await clock.advance(5)
    await asyncio.sleep(0)


async def test_one_that_somebody_else_cancels_is_cancelled():
    clock = FakeClock()
    waiting = asyncio.create_task(wait_until(clock, clock.now() + 10))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_a_time_that_has_passed_cuts_it_off_at_its_first_wait():
    clock = FakeClock()
    waiting = asyncio.create_task(wait_until(clock, clock.now() - 1))
    await clock.advance(0)
    with pytest.raises(CaxtonError):
        await waiting
