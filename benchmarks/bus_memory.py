"""What a queued message takes, and whether memory stays flat while a million of them go through.

Each measurement has a process of its own. Every message has a text of its own of 200 characters; the bare side are the
same messages in an `asyncio.Queue`. `python -m benchmarks.bus_memory 200000` for a shorter run.
"""

import asyncio
import gc
import multiprocessing
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil

from benchmarks.bus import Messages, Order
from caxton.bus.local import LocalBus, open_bus
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings
from caxton.domain.message import Durability, Message, Performative
from caxton.storage.database import open_database

QUEUED, CONVERSATIONS = 50_000, 1_000
RUN, STORED_SHARE, SAMPLES = 1_000_000, 5, 20
"""So many messages in memory, and a fifth as many that are stored; memory is looked at so often."""
IN_FLIGHT = 100
MIB = 2**20


class Memory:
    """Bytes taken since it was made, by the process or by Python's own count."""

    def __init__(self, traced: bool) -> None:
        gc.collect()
        self._traced = traced
        if traced:
            tracemalloc.start()
        self._before = self._now()

    def taken(self) -> int:
        gc.collect()
        return self._now() - self._before

    def _now(self) -> int:
        return tracemalloc.get_traced_memory()[0] if self._traced else resident()


def resident() -> int:
    size: int = psutil.Process().memory_info().rss
    return size


@asynccontextmanager
async def opened(settings: BusSettings) -> AsyncIterator[LocalBus]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_database(Path(folder) / "bench.db") as database,
            open_bus(SqliteMessageStore(database), settings) as bus,
        ):
            yield bus


def numbered(messages: Messages, number: int) -> Message:
    """A message with a text that no other has."""
    message = messages.build(number % CONVERSATIONS, number // CONVERSATIONS)
    return msgspec.structs.replace(message, content={**message.content, "text": f"{number:0200}"})


async def nobody(message: Message, again: bool) -> None:
    raise AssertionError(f"an inbox that is not open has begun {message}")


async def bare_queued(traced: bool) -> int:
    messages = Messages(Performative.INFORM, CONVERSATIONS)
    queue: asyncio.Queue[Message] = asyncio.Queue()
    memory = Memory(traced)
    for number in range(QUEUED):
        queue.put_nowait(numbered(messages, number))
    return memory.taken()


async def queued(traced: bool) -> int:
    messages = Messages(Performative.INFORM, CONVERSATIONS)
    async with opened(BusSettings(mailbox=QUEUED)) as bus:
        bus.register("receiver", bus.inbox("receiver", nobody, concurrency=1))
        memory = Memory(traced)
        for number in range(QUEUED):
            await bus.send(numbered(messages, number))
        return memory.taken()


async def spilled(traced: bool) -> int:
    """With the usual settings and durable messages: what the mailbox does not hold is in the store."""
    messages = Messages(Performative.INFORM, CONVERSATIONS, Durability.STORED)
    async with opened(BusSettings()) as bus:
        bus.register("receiver", bus.inbox("receiver", nobody, concurrency=1))
        memory = Memory(traced)
        for first in range(0, QUEUED, IN_FLIGHT):
            await asyncio.gather(*(bus.send(numbered(messages, first + at)) for at in range(IN_FLIGHT)))
        return memory.taken()


async def run(count: int, durability: Durability) -> tuple[float, list[int]]:
    """Messages a second through the bus, and the process's memory at so many points on the way."""
    order, messages = Order(), Messages(Performative.INFORM, CONVERSATIONS, durability)
    sizes, done = [], asyncio.Event()

    async def handle(message: Message) -> None:
        order.check(message)
        if order.count % (count // SAMPLES) == 0:
            sizes.append(resident())
        if order.count == count:
            done.set()

    async def sender(first: int) -> None:
        for number in range(first, count, IN_FLIGHT):
            await bus.send(messages.build(number % CONVERSATIONS, number // CONVERSATIONS))

    async with opened(BusSettings()) as bus, bus.serve("receiver", handle, concurrency=IN_FLIGHT):
        began = time.perf_counter()
        await asyncio.gather(*(sender(first) for first in range(IN_FLIGHT)))
        await done.wait()
        return count / (time.perf_counter() - began), sizes


WAYS = {"in a bare queue": bare_queued, "in a mailbox": queued, "left in the store": spilled}


def taken(way: str, traced: bool) -> int:
    return asyncio.run(WAYS[way](traced))


def gone_through(count: int, durability: Durability) -> tuple[float, list[int]]:
    return asyncio.run(run(count, durability))


def main() -> None:
    count = int(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else RUN
    spawned = multiprocessing.get_context("spawn")
    # A process for each measurement: what one leaves behind would be the next one's.
    with ProcessPoolExecutor(1, mp_context=spawned, max_tasks_per_child=1) as processes:
        for way in WAYS:
            rss, traced = (processes.submit(taken, way, how).result() for how in (False, True))
            print(
                f"{QUEUED:,} messages {way}: {rss / MIB:.1f} MiB of resident memory, {traced / MIB:.1f} by "
                f"tracemalloc; that is {rss // QUEUED:,} and {traced // QUEUED:,} bytes each"
            )
        for durability, number in ((Durability.MEMORY, count), (Durability.STORED, count // STORED_SHARE)):
            rate, sizes = processes.submit(gone_through, number, durability).result()
            settled = sizes[SAMPLES // 5 :]
            print(
                f"{number:,} {durability} messages gone through, {rate:,.0f}/s: resident memory "
                f"{settled[0] / MIB:.1f} MiB after a fifth of them, {max(settled) / MIB:.1f} at most from then on, "
                f"{settled[-1] / MIB:.1f} at the end"
            )


if __name__ == "__main__":
    main()
