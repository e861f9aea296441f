"""The live feed of what happens on the bus and to agents.

While nobody reads it is asleep. From the first reader on events are numbered, and the newest are kept for whoever reads
them later, until some time after the last one left. Whoever reads slower than things happen loses the oldest of what is
kept for him, and is told how many.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

from caxton.domain.delivery import BusEvent
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.observation import LONGEST, AgentChanged, Filter, Heard, Missed, Observed, Opened, cut_event
from caxton.domain.ports.clock import Clock

KEPT = 1000
"""Events that are kept for those who come back."""
WAITING = 2 * KEPT
"""Events that wait for one reader at most."""
LINGER = 60.0
"""Seconds that events are still kept after the last reader left."""
READERS = 100


@asynccontextmanager
async def open_feed(clock: Clock) -> AsyncIterator["BusFeed"]:
    """A feed whose readers are told at the end of the block that there is nothing more."""
    feed = BusFeed(clock)
    try:
        yield feed
    finally:
        feed.close()


class Reader:
    """Implements `ports.observation.Reader`."""

    def __init__(self, wanted: Filter, newest: Callable[[], str]) -> None:
        self.filter = wanted
        self._newest = newest
        self._events: deque[Observed] = deque()
        self._missed = 0
        self._more = asyncio.Event()
        self._ended = False

    async def next(self) -> Observed | None:
        while not self._events:
            if self._ended:
                return None
            self._more.clear()
            await self._more.wait()
        if self._missed:
            missed, self._missed = self._missed, 0
            return Missed(missed)
        return self._events.popleft()

    def want(self, wanted: Filter) -> None:
        self.filter = wanted
        self.tell(Opened(self._newest()))

    def tell(self, event: Observed) -> None:
        if len(self._events) >= WAITING:
            self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()


class BusFeed:
    """Implements `ports.observation.Feed` and `ports.bus.BusListener`, within one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.awake = False
        """Whether events are numbered and kept."""
        self._clock = clock
        self._life = ""
        """When it woke up: the numbers of its events begin anew each time."""
        self._number = 0
        self._readers: list[Reader] = []
        self._kept: deque[tuple[int, Heard | AgentChanged]] = deque(maxlen=KEPT)
        self._left_at = 0.0
        self._closed = False

    def observe(self, event: BusEvent) -> None:
        if not self._is_awake(event.at):
            return
        self._number += 1
        told, is_cut = cut_event(event, LONGEST)
        heard = Heard(self._id(), told, is_cut)
        self._kept.append((self._number, heard))
        for reader in self._readers:
            if reader.filter.wants(event):
                reader.tell(heard)

    def agent(self, event: LifecycleEvent) -> None:
        if not self._is_awake(event.at):
            return
        self._number += 1
        changed = AgentChanged(self._id(), event)
        self._kept.append((self._number, changed))
        for reader in self._readers:
            if reader.filter.wants_agent(event):
                reader.tell(changed)

    @contextmanager
    def read(self, wanted: Filter, *, after: str | None = None) -> Iterator[Reader]:
        if len(self._readers) >= READERS:
            raise CaxtonError(Code.TOO_MANY_READERS, f"{len(self._readers)} already follow what happens.")
        reader = Reader(wanted, self._id)
        if not self._is_awake(now := self._clock.now()):
            self.awake, self._life, self._number = True, f"{int(now * 1000):x}", 0
        if after is not None:
            self._catch_up(reader, after)
        reader.tell(Opened(self._id()))
        if self._closed:
            reader.end()
        self._readers.append(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)
            self._left_at = self._clock.now()

    def forget(self, conversations: Collection[str]) -> None:
        kept = [one for one in self._kept if not _is_of(conversations, one[1])]
        self._kept.clear()
        self._kept.extend(kept)

    def close(self) -> None:
        """Tell all readers, and those that come later, that there is nothing more."""
        self._closed = True
        for reader in self._readers:
            reader.end()

    def _id(self) -> str:
        return f"{self._life}-{self._number}"

    def _is_awake(self, now: float) -> bool:
        """Whether events are kept; no longer where nobody has read for some time."""
        if self.awake and not self._readers and now - self._left_at > LINGER:
            self.awake = False
            self._kept.clear()
        return self.awake

    def _catch_up(self, reader: Reader, after: str) -> None:
        """Tell a reader what happened after an event, and what of that nobody knows any more."""
        life, _, number = after.rpartition("-")
        seen = int(number) if number.isascii() and number.isdigit() and len(number) < 20 else None
        if life == self._life and seen is not None and seen <= self._number:
            oldest = self._kept[0][0] if self._kept else self._number + 1
            if oldest > seen + 1:
                reader.tell(Missed(oldest - seen - 1))
        else:
            seen = 0
            reader.tell(Missed(None))
        for number_of, event in self._kept:
            if number_of > seen and _is_wanted(reader.filter, event):
                reader.tell(event)


def _is_wanted(wanted: Filter, event: Heard | AgentChanged) -> bool:
    return wanted.wants(event.event) if isinstance(event, Heard) else wanted.wants_agent(event.event)


def _is_of(conversations: Collection[str], event: Heard | AgentChanged) -> bool:
    return isinstance(event, Heard) and event.event.message.conversation_id in conversations
