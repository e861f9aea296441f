"""A wire is opened once, by whoever comes first, and again only if that failed."""

import asyncio

import pytest
from support.completions import answer, asks, failure

from caxton.domain.errors import Code, ProviderError
from caxton.providers.lazy_wire import LazyWire


class Opening:
    """Opens wires when the test says so, and counts; a wire is what it says of itself."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = 0
        self.fails = False
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self):
        self.count += 1
        await self.go.wait()
        if self.fails:
            raise ProviderError(Code.PROVIDER_AUTHENTICATION, "no key")
        return self

    async def aclose(self) -> None:
        self.closed += 1


async def test_all_who_come_at_once_share_one():
    opening = Opening()
    lazy = LazyWire("x", opening)
    assert opening.count == 0
    assert set(await asyncio.gather(*(lazy.get() for _ in range(5)))) == {opening}
    assert opening.count == 1


async def test_who_stops_waiting_does_not_take_it_from_others():
    opening = Opening()
    opening.go.clear()
    lazy = LazyWire("x", opening)
    first, second = (asyncio.create_task(lazy.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    opening.go.set()
    assert await second is opening


async def test_what_failed_is_tried_again():
    opening = Opening()
    opening.fails = True
    lazy = LazyWire("x", opening)
    assert (await failure(lazy.get())).code is Code.PROVIDER_AUTHENTICATION
    opening.fails = False
    assert await lazy.get() is opening
    assert opening.count == 2


async def test_warming_opens_it_for_whoever_comes():
    opening = Opening()
    lazy = LazyWire("x", opening)
    lazy.warm()
    lazy.warm()
    assert await lazy.get() is opening
    assert opening.count == 1


async def test_a_failure_that_nobody_waited_for_is_forgotten():
    opening = Opening()
    opening.fails = True
    lazy = LazyWire("x", opening)
    lazy.warm()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.fails = False
    assert await lazy.get() is opening
    assert opening.count == 2


@pytest.mark.parametrize("opened", [True, False])
async def test_closing_is_final(opened):
    opening = Opening()
    lazy = LazyWire("x", opening)
    if opened:
        await lazy.get()
    await lazy.aclose()
    assert opening.closed == opened
    assert (await failure(lazy.get())).code is Code.PROVIDER_UNAVAILABLE


async def test_closing_after_a_failure_has_nothing_to_close():
    opening = Opening()
    opening.fails = True
    lazy = LazyWire("x", opening)
    await failure(lazy.get())
    await lazy.aclose()
    assert opening.closed == 0


async def test_a_key_file_that_is_mended_is_read_by_the_next_request(made, endpoint, tmp_path):
    file = tmp_path / "key"
    provider = made(endpoint.url, api_key_env=None, api_key_file=file)
    assert (await failure(answer(provider, asks()))).code is Code.PROVIDER_AUTHENTICATION
    file.touch(0o600)
    file.write_text("sk-mended\n")
    assert (await answer(provider, asks())).text
    assert endpoint.asked[-1].headers["authorization"] == "Bearer sk-mended"
