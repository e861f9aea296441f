"""A process that runs the bus on SQLite under load, to be killed: `python bus_victim.py DATABASE JOURNAL LIFE`.

Every line of the journal is a fact that the process was sure of when it wrote it:

    life L                     it is up
    sending CONVERSATION N     a message with an idempotency key is about to be sent
    accepted ID TO CONVERSATION N
    begun ID TO CONVERSATION N its receiver was given it
    ended ID                   it is settled or dead, in the store
    drained                    nothing waits any more

Within a conversation numbers only grow, over all lives. On standard input come the messages with a key that an earlier
life was sending and not sure of: they are sent again. Life 0 sends nothing, and ends when nothing waits any more.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

from caxton.bus.local import LocalBus, open_bus
from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.bus_settings import BusSettings, RetrySettings
from caxton.domain.clock import SystemClock
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative, answer_to
from caxton.storage.database import open_database

AGENTS = ("ada", "bob", "cyd")
BOSS = "boss"
"""Who has a mailbox too: replies are messages that are delivered."""
SENDERS = 9
LIVES = 1_000_000
"""The numbers that one life has."""
SETTINGS = BusSettings(mailbox=20, retries=RetrySettings(attempts=3, first_delay=0.02, longest_delay=0.1))
AHEAD = 30
"""Messages that a sender is ahead of their handling: more than fit into a mailbox, so that some wait in the store."""
SYNC = 64
"""Lines between two calls of fsync."""


class Journal:
    """Appends facts to a file. What was written outlives the process, whatever is buffered elsewhere."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0))
        self._lines = 0
        self.open: Counter[str] = Counter()
        """By conversation the messages that were accepted in this life, less those that ended."""

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())
        self._lines += 1
        if self._lines % SYNC == 0:
            os.fsync(self._file)

    def observe(self, event: BusEvent) -> None:
        """Implements `ports.bus.BusObserver`."""
        if event.kind in (BusEventKind.SETTLED, BusEventKind.FAILED, BusEventKind.BURIED):
            self.write("ended", event.message.id)
            if event.message.performative is Performative.REQUEST:
                self.open[event.message.conversation_id] -= 1


class Load:
    """What the process does."""

    def __init__(self, journal: Journal, life: int) -> None:
        self._journal = journal
        self._life = life
        self._clock = SystemClock()
        self._new_id = IdSource(self._clock)
        self._failed: set[str] = set()

    async def run(self, store: SqliteMessageStore, again: list[tuple[str, int]]) -> None:
        async with (
            open_bus(store, SETTINGS, clock=self._clock, observers=(self._journal,)) as bus,
            bus.serve(AGENTS[0], self._handle, concurrency=4),
            bus.serve(AGENTS[1], self._handle, concurrency=1),
            bus.serve(AGENTS[2], self._handle, concurrency=16),
            bus.serve(BOSS, self._handle, concurrency=4),
        ):
            self._journal.write("life", self._life)
            if self._life == 0:
                while await store.receivers():
                    await asyncio.sleep(0.01)
                self._journal.write("drained")
                return
            for conversation, number in again:
                await self._send(bus, conversation, number)
            await asyncio.gather(*(self._speak(bus, sender) for sender in range(SENDERS)))

    async def _speak(self, bus: LocalBus, sender: int) -> None:
        conversation = f"talk-{sender}"
        for number in range(self._life * LIVES, (self._life + 1) * LIVES):
            if number % 5 == 0:
                self._journal.write("sending", conversation, number)
            await self._send(bus, conversation, number)
            while self._journal.open[conversation] >= AHEAD:
                await asyncio.sleep(0.002)

    async def _send(self, bus: LocalBus, conversation: str, number: int) -> None:
        sender = int(conversation.rpartition("-")[2])
        message = Message(
            id=self._new_id(),
            performative=Performative.REQUEST,
            sender=BOSS if sender % 2 else "nobody",
            receiver=AGENTS[sender % len(AGENTS)],
            conversation_id=conversation,
            created_at=self._clock.now(),
            content={"text": "Hello", "number": number},
            idempotency_key=f"{conversation} {number}" if number % 5 == 0 else None,
        )
        stored = await bus.send(message)
        self._journal.write("accepted", stored.id, stored.receiver, conversation, number)
        self._journal.open[conversation] += 1

    async def _handle(self, message: Message) -> Message | None:
        number = message.content["number"]
        self._journal.write("begun", message.id, message.receiver, message.conversation_id, number)
        if message.performative is not Performative.REQUEST:
            return None
        if number % 7 == 0:
            await asyncio.sleep(0.005)
        if number % 97 == 5:
            raise CaxtonError(Code.PROVIDER_REFUSED, "Never.")
        if number % 50 == 7 and message.id not in self._failed:
            self._failed.add(message.id)
            raise CaxtonError(Code.PROVIDER_UNAVAILABLE, "Not now.")
        content = {"text": "Hi", "number": number}
        return answer_to(message, Performative.INFORM, content, id=self._new_id(), now=self._clock.now())


async def main() -> None:
    database, journal, life = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    again = [(conversation, number) for conversation, number in json.load(sys.stdin)]
    async with open_database(database) as opened:
        await Load(Journal(journal), life).run(SqliteMessageStore(opened), again)


if __name__ == "__main__":
    asyncio.run(main())
