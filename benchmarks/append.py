"""Durable messages: the store with group commit against bare SQLite transactions of as many rows, same file system."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import apsw

from benchmarks.measure import quantile
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.storage.database import open_database

MESSAGES, ROUNDS = 6400, 3


async def store(path: Path, in_flight: int) -> tuple[float, list[float]]:
    """Messages a second and the seconds until each was acknowledged."""
    new_id, waits = IdSource(SystemClock()), []
    async with open_database(path) as database:
        messages = SqliteMessageStore(database)

        async def sender(number: int) -> None:
            for _ in range(MESSAGES // in_flight):
                message = Message(
                    id=new_id(),
                    performative=Performative.REQUEST,
                    sender="user",
                    receiver="bench",
                    conversation_id=f"c{number}",
                    created_at=time.time(),
                    content={"text": "x" * 200},
                )
                began = time.perf_counter()
                await messages.append(message)
                waits.append(time.perf_counter() - began)

        began = time.perf_counter()
        await asyncio.gather(*(sender(number) for number in range(in_flight)))
        return MESSAGES / (time.perf_counter() - began), waits


def bare(path: Path, rows: int) -> float:
    """Rows a second, so many a transaction, through the same library and settings."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.execute("CREATE TABLE t (id TEXT UNIQUE, body BLOB)")
    began = time.perf_counter()
    for first in range(0, MESSAGES, rows):
        with connection:
            for number in range(first, first + rows):
                connection.execute("INSERT INTO t VALUES (?, ?)", (str(number), b"x" * 300))
    seconds = time.perf_counter() - began
    connection.close()
    return MESSAGES / seconds


def main() -> None:
    for in_flight in (1, 32, 800):
        pairs, waits = [], []
        for number in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                ours, these = asyncio.run(store(Path(folder) / f"{number}.db", in_flight))
                pairs.append((ours, bare(Path(folder) / "bare.db", in_flight)))
                waits += these
        ours = statistics.median(one for one, _ in pairs)
        share = statistics.median(one / other for one, other in pairs)
        print(
            f"{in_flight:4} in flight: {ours:6.0f} durable messages/s, {share:.2f} of bare SQLite's; "
            f"acknowledged p50 {statistics.median(waits) * 1e3:.2f} ms, p99 {quantile(waits, 0.99) * 1e3:.2f} ms"
        )
