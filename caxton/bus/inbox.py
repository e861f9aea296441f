"""A mailbox with workers.

A worker lives while there is work, so that an idle inbox has no task at all. It takes one message after the other, from
the lane whose turn it is (`domain.lanes`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lanes import Lane, Lanes
from caxton.domain.message import ORDINARY, Message
from caxton.domain.ports.bus import Work
from caxton.domain.ports.clock import Clock

RESERVED = 0.8
"""Where low priorities are refused, the share of the room that is for all."""
BREATH = 256
"""Messages that one worker deals with before it lets others have the loop, where their handler never waits."""

Listener = Callable[[Message], None]


class Inbox:
    """Implements `ports.bus.Inbox`. `on_start` and `on_end` hear of every message that is begun and put down again."""

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        clock: Clock,
        limit: int,
        concurrency: int,
        refuses_low: bool = False,
        on_start: Listener,
        on_end: Listener,
    ) -> None:
        self.concurrency = concurrency
        self.limit = limit
        self.busy = 0
        self._name = name
        self._work = work
        self._clock = clock
        self._refuses_low = refuses_low
        self._on_start = on_start
        self._on_end = on_end
        self._open = False
        self._lanes = Lanes()
        self._in_hand: dict[str, Message] = {}
        self._not_before: dict[str, float] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._held: set[asyncio.Task[None]] = set()
        self._wanting: deque[asyncio.Future[None]] = deque()
        """Senders that wait for room, the first of them first."""
        self._promised = 0
        """Places that are kept for senders who were told of them and have not come yet."""

    @property
    def depth(self) -> int:
        return len(self._in_hand)

    def holds(self, message_id: str) -> bool:
        return message_id in self._in_hand

    def admit(self, message: Message) -> None:
        depth = len(self._in_hand)
        if depth + self._promised >= self.limit:
            raise CaxtonError(Code.MAILBOX_FULL, f"{self._name!r} has {depth} messages in hand.")
        if self._refuses_low and message.priority < ORDINARY and depth >= self.limit * RESERVED:
            detail = f"{self._name!r} has {depth} messages in hand, and takes none of priority {message.priority} now."
            raise CaxtonError(Code.MAILBOX_FULL, detail)

    def put(self, message: Message, *, again: bool = False, not_before: float | None = None) -> None:
        if message.id in self._in_hand:
            return
        self._in_hand[message.id] = message
        if not_before is not None:
            self._not_before[message.id] = not_before
        self._lanes.put(message, again=again)
        if self._open and len(self._workers) < self.concurrency:
            self._dispatch()

    async def vacancy(self) -> None:
        """As the port has it; who comes back from here finds his place free until he lets others run."""
        if self.depth + self._promised < self.limit:
            return
        wanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanting.append(wanted)
        try:
            await wanted
        except asyncio.CancelledError:
            if wanted.done() and not wanted.cancelled():  # told, and gone before he came: the next one's turn
                self._promised -= 1
                self._make_room(1)
            raise
        self._promised -= 1

    def open(self) -> None:
        self._open = True
        self._dispatch()

    def pause(self) -> None:
        self._open = False

    async def drain(self, timeout: float) -> None:
        deadline = asyncio.get_running_loop().time() + timeout
        while self._workers and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._workers, timeout=left)

    async def close(self) -> list[Message]:
        self._open = False
        tasks = [*self._workers, *self._held]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = self._lanes.clear()
        self._in_hand.clear()
        self._not_before.clear()
        self._make_room(self.limit)
        return left

    def in_hand(self) -> Collection[Message]:
        return self._in_hand.values()

    def _dispatch(self) -> None:
        for _ in range(min(self._lanes.ready, self.concurrency - len(self._workers)) if self._open else 0):
            worker = asyncio.create_task(self._run(), name=f"inbox {self._name}")
            self._workers.add(worker)
            # For one that is cancelled before it runs; another is gone by then.
            worker.add_done_callback(self._workers.discard)

    async def _run(self) -> None:
        """A worker's life. It is no worker any more as soon as it finds no work: the next message needs another one."""
        begun = 0
        try:
            while self._open and len(self._workers) <= self.concurrency and (taken := self._lanes.take()):
                lane, message, again = taken
                if self._not_before and (due := self._not_before.pop(message.id, 0.0)) > self._clock.now():
                    self._hold(lane, due)
                    continue
                self.busy += 1
                self._on_start(message)
                try:
                    at = await self._work(message, again)
                except BaseException:
                    self.busy -= 1
                    self._lanes.again(lane, begun=again)
                    self._on_end(message)
                    raise
                self.busy -= 1
                if at is None:
                    del self._in_hand[message.id]
                    self._lanes.done(lane)
                    if self._wanting:
                        self._make_room(1)
                else:
                    self._hold(lane, at)
                self._on_end(message)
                begun += 1
                if begun % BREATH == 0:
                    await asyncio.sleep(0)
        finally:
            self._workers -= {asyncio.current_task()}

    def _hold(self, lane: Lane, until: float) -> None:
        """Let a lane whose head was taken wait for its time."""

        async def hold() -> None:
            await self._clock.sleep(max(0.0, until - self._clock.now()))
            self._lanes.again(lane)
            self._dispatch()

        task = asyncio.create_task(hold(), name=f"inbox {self._name} waits")
        self._held.add(task)
        task.add_done_callback(self._held.discard)

    def _make_room(self, places: int) -> None:
        while places and self._wanting:
            wanted = self._wanting.popleft()
            if not wanted.done():
                wanted.set_result(None)
                self._promised += 1
                places -= 1
