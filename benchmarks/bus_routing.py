"""Which of 10,000 agents gets a message: by what it can do, with every balancing; then one message to 1,000 receivers.

Resolving is what the bus does between an address like `capability:charts:v2` and a mailbox, the look at the mailbox
included. The bare side of a broadcast are as many `asyncio.Queue`s, each with a consumer.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path

import msgspec

from benchmarks.bus import Messages
from benchmarks.measure import quantile
from caxton.bus.directory import Directory
from caxton.bus.local import LocalBus, open_bus
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.address import EVERYBODY, capability_address
from caxton.domain.bus_settings import Balance, BusSettings
from caxton.domain.capability import Capability, read_capability
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Durability, Message, Performative
from caxton.storage.database import open_database

AGENTS, CAPABILITIES, RESOLVED, FAILED = 10_000, 1_000, 20_000, 200
DEPTH = 5
"""Messages that an agent has in hand at most while others are sent."""
RECEIVERS, BROADCASTS = 1_000, 30
RANDOM = random.Random(7)

COMMON = "charts:v2"
"""What everybody can do."""


@asynccontextmanager
async def opened() -> AsyncIterator[LocalBus]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_database(Path(folder) / "bench.db") as database,
            open_bus(SqliteMessageStore(database), BusSettings(mailbox=DEPTH + 1)) as bus,
        ):
            yield bus


async def nobody(message: Message, again: bool) -> None:
    raise AssertionError(f"an inbox that is not open has begun {message}")


def fill(bus: LocalBus, directory: Directory, *, most: int) -> None:
    """Agents that all can do one thing and each one of many others, with so many messages in hand at most."""
    messages = Messages(Performative.REQUEST, DEPTH + 1)
    for number in range(AGENTS):
        names = (COMMON, f"skill-{number % CAPABILITIES}")
        inbox = bus.inbox(f"agent-{number}", nobody, concurrency=1)
        for place in range(RANDOM.randint(0, most) if most <= DEPTH else most):
            inbox.put(messages.build(place, number))
        directory.add(f"agent-{number}", inbox, [Capability(name=read_capability(name)) for name in names])
        directory.measured(f"agent-{number}", RANDOM.uniform(0.01, 1.0))


def waits(count: int, capability: Callable[[int], str], directory: Directory) -> list[float]:
    """Seconds for each of so many messages, in a hundred conversations; `FAILED` of them may come to nothing."""
    messages, took = Messages(Performative.REQUEST, 100), []
    for number in range(count):
        receiver = capability_address(capability(number))
        message = msgspec.structs.replace(messages.build(number % 100, number), receiver=receiver)
        began = time.perf_counter()
        with suppress(CaxtonError) if count == FAILED else nullcontext():
            directory.resolve(message)
        took.append(time.perf_counter() - began)
    return took


def show(what: str, took: list[float]) -> None:
    print(f"{what}: p50 {statistics.median(took) * 1e6:.1f} µs, p99 {quantile(took, 0.99) * 1e6:.1f} µs")


async def resolve() -> None:
    async with opened() as bus:
        for balance in Balance:
            directory = Directory(balance)
            fill(bus, directory, most=DEPTH)
            for what, capability in (
                (f"{AGENTS // CAPABILITIES} of {AGENTS:,} can do it", lambda number: f"skill-{number % CAPABILITIES}"),
                (f"all {AGENTS:,} can do it", lambda _: COMMON),
            ):
                waits(1000, capability, directory)
                show(f"{balance}, {what}", waits(RESOLVED, capability, directory))
        show("nobody can do it", waits(FAILED, lambda number: f"skil-{number}", directory))
        directory = Directory()
        fill(bus, directory, most=DEPTH + 1)
        show(f"all {AGENTS:,} can do it, all are full", waits(FAILED, lambda _: COMMON, directory))


async def broadcast(durability: Durability) -> float:
    """Deliveries a second, until each receiver has dealt with each message."""
    left, done = RECEIVERS * BROADCASTS, asyncio.Event()
    numbers = [0] * RECEIVERS

    async def handle(message: Message) -> None:
        nonlocal left
        place = int(message.receiver[9:])
        if message.content["number"] != numbers[place]:
            raise SystemExit(f"Order is broken: {message} instead of number {numbers[place]}")
        numbers[place] += 1
        left -= 1
        if not left:
            done.set()

    messages = Messages(Performative.INFORM, 1, durability)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        database = await stack.enter_async_context(open_database(Path(folder) / "bench.db"))
        bus = await stack.enter_async_context(open_bus(SqliteMessageStore(database)))
        for number in range(RECEIVERS):
            await stack.enter_async_context(bus.serve(f"receiver-{number}", handle))
        began = time.perf_counter()
        for number in range(BROADCASTS):
            sent = await bus.broadcast(msgspec.structs.replace(messages.build(0, number), receiver=EVERYBODY))
            assert len(sent) == RECEIVERS, f"{len(sent)} receivers instead of {RECEIVERS}"
        await done.wait()
        return RECEIVERS * BROADCASTS / (time.perf_counter() - began)


async def bare_broadcast() -> float:
    messages = Messages(Performative.INFORM, 1)
    queues: list[asyncio.Queue[Message]] = [asyncio.Queue() for _ in range(RECEIVERS)]

    async def receiver(place: int) -> None:
        for number in range(BROADCASTS):
            message = await queues[place].get()
            assert message.content["number"] == number

    async def sender() -> None:
        for number in range(BROADCASTS):
            message = messages.build(0, number)
            for place, queue in enumerate(queues):
                copy = msgspec.structs.replace(message, id=messages.new_id(), receiver=f"receiver-{place}")
                await queue.put(copy)
            await asyncio.sleep(0)

    began = time.perf_counter()
    await asyncio.gather(sender(), *(receiver(place) for place in range(RECEIVERS)))
    return RECEIVERS * BROADCASTS / (time.perf_counter() - began)


def main() -> None:
    asyncio.run(resolve())
    rounds = [
        (
            asyncio.run(broadcast(Durability.MEMORY)),
            asyncio.run(broadcast(Durability.STORED)),
            asyncio.run(bare_broadcast()),
        )
        for _ in range(4)
    ][1:]
    memory, stored, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"broadcast to {RECEIVERS:,}: {memory:,.0f} deliveries/s ({RECEIVERS / memory * 1e3:.1f} ms a message), "
        f"{statistics.median(one / other for one, _, other in rounds):.2f} of as many bare queues' {bare:,.0f}; "
        f"stored {stored:,.0f}/s"
    )


if __name__ == "__main__":
    main()
