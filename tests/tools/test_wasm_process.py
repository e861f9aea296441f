"""What the worker process says is read frame by frame; what is no frame ends it."""

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.errors import CaxtonError, Code
from caxton.tools.connection import Ending
from caxton.tools.server_log import ServerLog
from caxton.tools.wasm_frames import (
    LONGEST,
    Budget,
    Close,
    Directory,
    End,
    Ended,
    Feed,
    Muttered,
    News,
    Open,
    Order,
    Ready,
    Refused,
    Said,
    Settled,
    Setup,
    Usage,
    frame,
    news,
    order,
)
from caxton.tools.wasm_process import Worker

BUDGET = Budget(1, 5.0, 3)
counts = st.integers(0, 2**62)
usages = st.builds(Usage, counts, st.floats(0, 1e9), counts, counts)


budgets = st.builds(Budget, counts, st.floats(0, 1e9), counts)
words = st.text()
setups = st.builds(
    Setup,
    module=words,
    sha256=words,
    cache=words,
    metered=st.booleans(),
    memory=counts,
    args=st.lists(words).map(tuple),
    env=st.dictionaries(words, words),
    directories=st.lists(st.builds(Directory, words, words, st.booleans())).map(tuple),
)


@given(
    st.one_of(
        setups,
        st.builds(Open, counts, budgets),
        st.builds(Feed, counts, st.binary(), budgets),
        st.builds(Close, counts),
    )
)
def test_orders_arrive_as_they_were_given(given_: Order):
    data = frame(given_)
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert order(data[4:]) == given_


@given(
    st.one_of(
        st.builds(Ready, st.floats(0, 1e9), st.booleans()),
        st.builds(Refused, words),
        st.builds(Said, counts, st.binary()),
        st.builds(Muttered, counts, st.binary()),
        st.builds(Settled, counts, usages),
        st.builds(Ended, counts, st.sampled_from(End), st.text(), usages),
    )
)
def test_news_arrive_as_they_were_told(told: News):
    assert news(frame(told)[4:]) == told


class FakeProcess(SimpleNamespace):
    """A worker process that says what the test feeds it."""

    def __init__(self) -> None:
        self.given = b""
        self.killed = False
        self.stdout = asyncio.StreamReader()
        self.stdin = SimpleNamespace(write=self._take)
        self.pid = 1

    def _take(self, data: bytes) -> None:
        self.given += data

    def kill(self) -> None:
        self.killed = True
        self.stdout.feed_eof()


@pytest.fixture
def end() -> Ending:
    return Ending()


@pytest.fixture
async def process() -> FakeProcess:
    return FakeProcess()


@pytest.fixture
async def worker(process: FakeProcess, end: Ending) -> Worker:
    return Worker(process, "odd", ServerLog("odd", lambda: 0.0), end)


async def test_lines_are_told_as_they_come_and_the_exchange_ends_when_it_settles(worker, process):
    attending = asyncio.create_task(worker.attend())
    heard = []
    instance = worker.open()
    exchange = asyncio.create_task(instance.exchange(b"in", BUDGET, heard.append))
    await asyncio.sleep(0)
    assert process.given == frame(Feed(1, b"in", BUDGET))
    for told in (Said(1, b"one"), Said(9, b"of another"), Said(1, b"two"), Settled(1, Usage(fuel=7))):
        process.stdout.feed_data(frame(told))
    assert await exchange == Settled(1, Usage(fuel=7))
    assert heard == [b"one", b"two"]
    process.stdout.feed_eof()
    await attending


@pytest.mark.parametrize(
    ("said", "why"), [(b"\0\0\0\3abc", "read"), ((LONGEST + 1).to_bytes(4, "big"), "a frame of"), (b"\0\0", "ended")]
)
async def test_what_is_no_frame_ends_the_process_and_every_exchange(worker, process, end, said, why):
    exchanges = [asyncio.create_task(worker.open().exchange(None, BUDGET, lambda line: None)) for _ in range(2)]
    await asyncio.sleep(0)
    process.stdout.feed_data(said)
    process.stdout.feed_eof()
    await worker.attend()
    for exchange in exchanges:
        with pytest.raises(CaxtonError) as caught:
            await exchange
        assert caught.value.code is Code.TOOL_SERVER_UNAVAILABLE
        assert why in caught.value.why
    assert end.told


async def test_an_exchange_that_is_cancelled_closes_its_instance(worker, process):
    exchange = asyncio.create_task(worker.open().exchange(None, BUDGET, lambda line: None))
    await asyncio.sleep(0)
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert process.given == frame(Open(1, BUDGET)) + frame(Close(1))
