"""A deadline strikes in waits alone, and leaves alone who is cancelled by others."""

import asyncio
import contextlib

import pytest

from caxton.providers.deadline import Deadline

NEVER = 3600.0


@contextlib.contextmanager
def deadline(seconds: float):
    made = Deadline(seconds)
    try:
        yield made
    finally:
        made.close()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_wait_ends_with_it_and_the_task_goes_on():
    with deadline(0.01) as limit, pytest.raises(TimeoutError), limit:
        await forever()
    task = asyncio.current_task()
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_what_is_over_between_two_waits_is_told_by_the_next():
    with deadline(NEVER) as limit:
        with limit:
            await asyncio.sleep(0)
        limit.cut()
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(TimeoutError), limit:
                pytest.fail("it did not raise before the wait")


async def test_many_waits_in_time_end_as_they_would():
    with deadline(NEVER) as limit:
        for number in range(100):
            with limit:
                assert await asyncio.sleep(0, number) == number


async def test_an_error_in_a_wait_is_that_error():
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with deadline(NEVER) as limit, pytest.raises(ZeroDivisionError), limit:
        await broken()


async def test_a_task_that_others_cancel_is_cancelled():
    started = asyncio.Event()

    async def work(limit: Deadline) -> None:
        with limit:
            started.set()
            await forever()

    with deadline(NEVER) as limit:
        task = asyncio.create_task(work(limit))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("cut_first", [True, False])
async def test_a_cancellation_at_the_very_moment_wins(cut_first):
    started = asyncio.Event()

    async def work(limit: Deadline) -> None:
        with limit:
            started.set()
            await forever()

    with deadline(NEVER) as limit:
        task = asyncio.create_task(work(limit))
        await started.wait()
        for strike in (limit.cut, task.cancel) if cut_first else (task.cancel, limit.cut):
            strike()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_one_within_another_strikes_alone():
    with deadline(NEVER) as outer, deadline(0.01) as inner, outer:
        with pytest.raises(TimeoutError), inner:
            await forever()
        await asyncio.sleep(0)
    with deadline(0.01) as outer, deadline(NEVER) as inner, pytest.raises(TimeoutError), outer, inner:
        await forever()


async def test_it_keeps_within_the_timeouts_of_asyncio():
    async def work(limit: Deadline) -> None:
        async with asyncio.timeout(0.01):
            with limit:
                await forever()

    with deadline(NEVER) as limit, pytest.raises(TimeoutError):
        await work(limit)
    async with asyncio.timeout(10):
        with deadline(0.01) as limit, pytest.raises(TimeoutError), limit:
            await forever()


async def test_waits_of_different_tasks_end_each_in_its_own():
    async def step(limit: Deadline) -> None:
        with limit:
            await asyncio.sleep(0)

    with deadline(NEVER) as limit:
        for _ in range(3):
            await asyncio.create_task(step(limit))
        limit.cut()
        with pytest.raises(TimeoutError):
            await asyncio.create_task(step(limit))


async def test_a_closed_one_never_strikes():
    limit = Deadline(0.0)
    limit.close()
    with limit:
        await asyncio.sleep(0.01)


async def test_a_renewed_one_counts_from_then():
    with deadline(0.0) as limit:
        limit.renew(NEVER)
        with limit:
            await asyncio.sleep(0.01)
        limit.renew(0.0)
        with pytest.raises(TimeoutError), limit:
            await forever()
