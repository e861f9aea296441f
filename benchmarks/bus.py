"""Messages within one process: one way, and request → handler → reply, against bare queues and other people's buses.

All build the same messages in the same run. The bare side is an `asyncio.Queue` with one consumer, and futures for the
replies. Every receiver counts what comes in a conversation, and breaks off when that is not in order.
"""

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks import peers
from caxton.bus.feed import open_feed
from caxton.bus.local import LocalBus, open_bus
from caxton.bus.metrics import BusMetrics
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings
from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Durability, Message, Performative, answer_to
from caxton.storage.database import open_database

TOLD, ASKED, IN_FLIGHT, CONVERSATIONS, ROUNDS = 100_000, 30_000, 64, 50, 5
PEERS = {"autogen": (5_000, 3_000), "spade": (20_000, 5_000)}
"""How many messages each of them gets, one way and as requests: it takes about a second."""
ROOM = BusSettings().mailbox
CLOCK = SystemClock()
TEXT = "x" * 200

Measured = tuple[float, float]
"""Messages a second, one way and as requests."""


class Order:
    """Checks that a conversation's messages come in their order, none of them twice and none left out."""

    def __init__(self) -> None:
        self.next: defaultdict[str, int] = defaultdict(int)
        self.count = 0

    def check(self, message: Message) -> None:
        expected = self.next[message.conversation_id]
        if message.content["number"] != expected:
            raise SystemExit(f"Order is broken: {message} instead of number {expected}")
        self.next[message.conversation_id] = expected + 1
        self.count += 1

    def complete(self, count: int) -> None:
        if self.count != count:
            raise SystemExit(f"{self.count} of {count} messages arrived")


class Messages:
    """Builds the messages, numbered in each conversation."""

    def __init__(
        self, performative: Performative, conversations: int, durability: Durability = Durability.MEMORY
    ) -> None:
        self._performative = performative
        self._durability = durability
        self._ids = [f"c{number}" for number in range(conversations)]
        self.new_id = IdSource(CLOCK)

    def build(self, conversation: int, number: int) -> Message:
        return Message(
            id=self.new_id(),
            performative=self._performative,
            sender="bench",
            receiver="receiver",
            conversation_id=self._ids[conversation],
            created_at=time.time(),
            content={"text": TEXT, "number": number},
            durability=self._durability,
        )

    def reply(self, request: Message) -> Message:
        return answer_to(request, Performative.INFORM, {"text": "ok"}, id=self.new_id(), now=time.time())


async def tell(count: int, send: Callable[[Message], Any]) -> None:
    messages = Messages(Performative.INFORM, CONVERSATIONS)
    for number in range(count // CONVERSATIONS):
        for conversation in range(CONVERSATIONS):
            await send(messages.build(conversation, number))


async def ask(count: int, send: Callable[[Message], Any]) -> None:
    messages = Messages(Performative.REQUEST, IN_FLIGHT)

    async def asker(conversation: int) -> None:
        for number in range(count // IN_FLIGHT):
            message = messages.build(conversation, number)
            reply = await send(message)
            assert reply.in_reply_to == message.id, f"{reply} answers another message than {message}"

    await asyncio.gather(*(asker(conversation) for conversation in range(IN_FLIGHT)))


async def bare_one_way(count: int) -> float:
    queue: asyncio.Queue[Message] = asyncio.Queue(ROOM)
    order = Order()

    async def receiver() -> None:
        while order.count < count:
            order.check(await queue.get())

    began = time.perf_counter()
    await asyncio.gather(receiver(), tell(count, queue.put))
    return count / (time.perf_counter() - began)


async def bare_requests(count: int) -> float:
    queue: asyncio.Queue[tuple[Message, asyncio.Future[Message]]] = asyncio.Queue(ROOM)
    order, messages = Order(), Messages(Performative.INFORM, 1)
    count -= count % IN_FLIGHT
    loop = asyncio.get_running_loop()

    async def receiver() -> None:
        while order.count < count:
            request, answered = await queue.get()
            order.check(request)
            answered.set_result(messages.reply(request))

    async def send(message: Message) -> Message:
        answered: asyncio.Future[Message] = loop.create_future()
        await queue.put((message, answered))
        return await answered

    began = time.perf_counter()
    await asyncio.gather(receiver(), ask(count, send))
    return count / (time.perf_counter() - began)


@asynccontextmanager
async def opened(watched: bool) -> AsyncIterator[LocalBus]:
    """A bus as the server has it; `watched` by its counters and its feed, too."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_database(Path(folder) / "bench.db") as database, open_feed(CLOCK) as feed:
            metrics = BusMetrics(CLOCK)
            observers = (metrics, feed) if watched else ()
            async with open_bus(SqliteMessageStore(database), observers=observers) as bus:
                metrics.watch(bus.directory)
                yield bus


async def ours_one_way(count: int, watched: bool = False) -> float:
    order, done = Order(), asyncio.Event()

    async def handle(message: Message) -> None:
        order.check(message)
        if order.count == count:
            done.set()

    async with opened(watched) as bus, bus.serve("receiver", handle):
        began = time.perf_counter()
        await tell(count, bus.send)
        await done.wait()
        return count / (time.perf_counter() - began)


async def ours_requests(count: int, watched: bool = False) -> float:
    order, messages = Order(), Messages(Performative.INFORM, 1)
    count -= count % IN_FLIGHT

    async def handle(message: Message) -> Message:
        order.check(message)
        return messages.reply(message)

    async with opened(watched) as bus, bus.serve("receiver", handle):
        began = time.perf_counter()
        await ask(count, bus.ask)
        order.complete(count)
        return count / (time.perf_counter() - began)


def ours(watched: bool = False) -> Measured:
    return asyncio.run(ours_one_way(TOLD, watched)), asyncio.run(ours_requests(ASKED, watched))


def bare() -> Measured:
    return asyncio.run(bare_one_way(TOLD)), asyncio.run(bare_requests(ASKED))


def peer(name: str) -> tuple[str, Measured] | None:
    if said := peers.measured(name, *PEERS[name], IN_FLIGHT):
        version, figures = said
        return f"{name} {version}", (figures["one_way"], figures["requests"])
    return None


def main() -> None:
    rivals = {name: said[0] for name in PEERS if (said := peer(name))}
    ours(), ours(watched=True), bare()
    rounds: list[dict[str, Measured]] = []
    for _ in range(ROUNDS):
        measured = {"ours": ours(), "bare asyncio.Queue": bare(), "ours, watched": ours(watched=True)}
        for name, title in rivals.items():
            if said := peer(name):
                measured[title] = said[1]
        rounds.append(measured)
    for place, what in enumerate(("one way", f"request → handler → reply, {IN_FLIGHT} in flight")):
        mine, watched = (statistics.median(one[way][place] for one in rounds) for way in ("ours", "ours, watched"))
        print(f"{what}: {mine:,.0f} messages/s; {watched:,.0f} with the counters and the feed of the server")
        for other in ("bare asyncio.Queue", *rivals.values()):
            rate = statistics.median(one[other][place] for one in rounds)
            ratio = statistics.median(one["ours"][place] / one[other][place] for one in rounds)
            print(f"  {other}: {rate:,.0f}/s; ours is {ratio:.2f} of that")


if __name__ == "__main__":
    main()
