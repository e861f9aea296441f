"""Durable messages through the bus, against bare SQLite group commit and NATS JetStream, same file system, same run.

The bare side stores nothing but the bytes of the same messages: one writer thread, a commit for all that wait
(synchronous = FULL), their futures resolved once a commit. It is measured twice: building and encoding each message as
our side does, and with bytes that were there before the clock started. JetStream acknowledges a message when it has
written it to its file, and syncs that every two minutes; ours are on the disk when they are acknowledged.
"""

import asyncio
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from benchmarks import peers
from benchmarks.bus import Messages, Order
from benchmarks.measure import quantile
from caxton.bus.local import open_bus
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings
from caxton.domain.message import Durability, Message, Performative
from caxton.storage.database import open_database

COUNTS = {1: 2_000, 32: 24_000, 250: 50_000, 1000: 60_000}
"""Messages, by how many are in flight."""
JETSTREAM = 30_000
"""Messages that it gets at most."""
ROUNDS = 3
SETTINGS = BusSettings(mailbox=max(COUNTS.values()))
"""Nobody is overloaded here: what is too much for a mailbox is left in the store, at a cost of its own."""


class Rate(NamedTuple):
    """Messages a second, and the seconds until each was acknowledged."""

    accepted: float
    waits: list[float]
    handled: float = 0.0
    """A second, where they were handled and settled too."""


async def senders(
    count: int, in_flight: int, send: Callable[[int, int], Awaitable[object]]
) -> tuple[float, list[float]]:
    """Seconds in all, and for each of so many messages, of which each of `in_flight` senders has one under way."""
    waits = []

    async def sender(number: int) -> None:
        for position in range(count // in_flight):
            began = time.perf_counter()
            await send(number, position)
            waits.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(sender(number) for number in range(in_flight)))
    return time.perf_counter() - began, waits


class Bare:
    """Group commit, and nothing else."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("journal_mode", "WAL")
        self._connection.pragma("synchronous", "FULL")
        self._connection.execute("CREATE TABLE messages (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def append(self, body: bytes) -> asyncio.Future[None]:
        stored: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((body, stored))
        return stored

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            with suppress(queue.Empty):
                while len(batch) < 1000:
                    batch.append(self._queue.get_nowait())
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO messages (body) VALUES (?)", [(body,) for body, _ in batch])
            self._connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_resolve, [stored for _, stored in batch])


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for stored in futures:
        stored.set_result(None)


async def bare(folder: Path, in_flight: int) -> Rate:
    messages = Messages(Performative.INFORM, in_flight, Durability.STORED)
    return await group_commits(
        folder, in_flight, lambda number, position: msgspec.json.encode(messages.build(number, position))
    )


async def bare_bytes(folder: Path, in_flight: int) -> Rate:
    messages = Messages(Performative.INFORM, in_flight, Durability.STORED)
    bodies = [
        [msgspec.json.encode(messages.build(number, position)) for position in range(COUNTS[in_flight] // in_flight)]
        for number in range(in_flight)
    ]
    return await group_commits(folder, in_flight, lambda number, position: bodies[number][position])


async def group_commits(folder: Path, in_flight: int, body: Callable[[int, int], bytes]) -> Rate:
    writer = Bare(folder / "bare.db")
    seconds, waits = await senders(
        COUNTS[in_flight], in_flight, lambda number, position: writer.append(body(number, position))
    )
    writer.close()
    return Rate(len(waits) / seconds, waits)


async def nobody(message: Message, again: bool) -> None:
    raise AssertionError(f"an inbox that is not open has begun {message}")


async def accepted(folder: Path, in_flight: int) -> Rate:
    """Their receiver does not deal with them yet."""
    count, messages = COUNTS[in_flight], Messages(Performative.INFORM, in_flight, Durability.STORED)
    async with open_database(folder / "accepted.db") as database:
        store = SqliteMessageStore(database)
        async with open_bus(store, SETTINGS) as bus:
            bus.register("receiver", bus.inbox("receiver", nobody, concurrency=1))
            seconds, waits = await senders(
                count, in_flight, lambda number, position: bus.send(messages.build(number, position))
            )
        order = Order()
        for claimed in await store.claim("receiver", after=0, limit=count):
            order.check(claimed.message)
        order.complete(len(waits))
        return Rate(len(waits) / seconds, waits)


async def handled(folder: Path, in_flight: int) -> Rate:
    """Their receiver deals with them meanwhile, and they are settled."""
    count, messages = COUNTS[in_flight], Messages(Performative.INFORM, in_flight, Durability.STORED)
    count -= count % in_flight
    order = Order()

    async def handle(message: Message) -> None:
        order.check(message)

    async with open_database(folder / "handled.db") as database:
        store = SqliteMessageStore(database)
        began = time.perf_counter()
        async with open_bus(store, SETTINGS) as bus, bus.serve("receiver", handle, concurrency=in_flight):
            seconds, waits = await senders(
                count, in_flight, lambda number, position: bus.send(messages.build(number, position))
            )
            while await store.waiting("receiver"):
                await asyncio.sleep(0.001)
            everything = time.perf_counter() - began
        order.complete(count)
        return Rate(count / seconds, waits, count / everything)


def once(measure: Callable[[Path, int], Awaitable[Rate]], in_flight: int) -> Rate:
    async def run() -> Rate:
        with tempfile.TemporaryDirectory() as folder:
            return await measure(Path(folder), in_flight)

    return asyncio.run(run())


def jetstream(in_flight: int) -> Rate | None:
    """None where it is not installed, which is printed."""
    size = len(msgspec.json.encode(Messages(Performative.INFORM, 1, Durability.STORED).build(0, 0)))
    said = peers.measured("nats", min(COUNTS[in_flight], JETSTREAM), size, in_flight)
    return Rate(said[1]["accepted"], []) if said else None


def main() -> None:
    others: dict[str, Callable[[int], Rate | None]] = {
        "bare group commit": partial(once, bare),
        "bare group commit, its bytes ready beforehand": partial(once, bare_bytes),
        "NATS JetStream": jetstream,
    }
    for in_flight in COUNTS:
        # Who does not answer at the warm-up is not there.
        there = {name: measure for name, measure in others.items() if measure(in_flight)}
        others = there
        once(accepted, in_flight)
        rounds = [
            (once(accepted, in_flight), once(handled, in_flight), [measure(in_flight) for measure in there.values()])
            for _ in range(ROUNDS)
        ]
        waits = [wait for ours, _, _ in rounds for wait in ours.waits]
        print(
            f"{in_flight:4} in flight: {statistics.median(ours.accepted for ours, _, _ in rounds):,.0f} accepted "
            f"messages/s, {statistics.median(dealt.handled for _, dealt, _ in rounds):,.0f} handled and settled as "
            f"well; acknowledged p50 {statistics.median(waits) * 1e3:.2f} ms, p99 {quantile(waits, 0.99) * 1e3:.2f} ms"
        )
        for place, name in enumerate(there):
            pairs = [(ours.accepted, theirs[place]) for ours, _, theirs in rounds]
            pairs = [(mine, other.accepted) for mine, other in pairs if other]
            rate = statistics.median(other for _, other in pairs)
            share = statistics.median(mine / other for mine, other in pairs)
            print(f"       {name}: {rate:,.0f}/s; ours is {share:.2f} of that")


if __name__ == "__main__":
    main()
