"""Instances are lent one call at a time, so many at once."""

import asyncio

import pytest

from caxton.tools.wasm_frames import End, Ended, Usage
from caxton.tools.wasm_pool import Pool

DEADLINE = 10.0


class FakeInstance:
    def __init__(self, number: int) -> None:
        self.number = number
        self.ended: Ended | None = None
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def end(self) -> None:
        self.ended = Ended(self.number, End.TRAP, "", Usage())


class Source:
    def __init__(self) -> None:
        self.made: list[FakeInstance] = []

    async def open(self) -> FakeInstance:
        await asyncio.sleep(0)
        self.made.append(FakeInstance(len(self.made)))
        return self.made[-1]


async def borrow(pool: Pool) -> int:
    async with pool.lend() as instance:
        await asyncio.sleep(0)
        return instance.number


async def test_an_instance_that_is_free_is_lent_again():
    source = Source()
    pool = Pool(source.open, 4, 100)
    assert [await borrow(pool) for _ in range(5)] == [0] * 5


async def test_no_more_than_so_many_are_lent_at_once():
    source = Source()
    pool = Pool(source.open, 3, 100)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(borrow(pool) for _ in range(30)))
    assert len(source.made) == 3


async def test_after_so_many_calls_it_is_another():
    source = Source()
    pool = Pool(source.open, 1, 3)
    assert [await borrow(pool) for _ in range(7)] == [0, 0, 0, 1, 1, 1, 2]
    assert [one.closed for one in source.made] == [True, True, False]


async def test_an_instance_is_given_up_where_its_call_failed():
    source = Source()
    pool = Pool(source.open, 1, 100)
    with pytest.raises(ValueError, match="odd"):
        async with pool.lend():
            raise ValueError("odd")
    assert source.made[0].closed
    assert await borrow(pool) == 1


async def test_an_instance_that_ended_is_not_lent_again():
    source = Source()
    pool = Pool(source.open, 1, 100)
    await borrow(pool)
    source.made[0].end()
    assert await borrow(pool) == 1
    async with pool.lend() as instance:
        instance.end()
    assert await borrow(pool) == 2


async def test_a_place_is_free_again_when_an_instance_does_not_start():
    async def fail() -> FakeInstance:
        raise OSError("no memory")

    pool = Pool(fail, 1, 100)
    for _ in range(3):
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(OSError, match="no memory"):
                await borrow(pool)


async def test_who_waits_and_is_cancelled_takes_no_place():
    source = Source()
    pool = Pool(source.open, 1, 100)
    async with pool.lend():
        waiting = asyncio.create_task(borrow(pool))
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(DEADLINE):
        assert await borrow(pool) == 0
