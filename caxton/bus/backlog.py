"""Messages that wait in the store because their receiver has its hands full, or did not run when they came."""

import asyncio
import logging
from collections.abc import Callable, Collection

import msgspec

from caxton.domain.delivery import Claimed
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore

log = logging.getLogger(__name__)

REFILL = 0.5
"""The share of its room that a mailbox has free when more is fetched."""
FETCH = 500
"""Messages fetched at once, at most."""
PAUSE = 1.0
"""Seconds until what could not be fetched is fetched again."""


class Backlog(msgspec.Struct):
    """Where to go on in the store for one receiver, about how many wait there, and how often any were left there."""

    after: int
    count: int
    left: int = 1
    awaited: dict[str, Message] = {}
    """Those whose senders wait for the reply."""
    fetching: bool = False


class Backlogs:
    """By address. As long as a receiver has one, what comes for it is left in the store: order is kept that way."""

    def __init__(
        self,
        store: DeliveryStore,
        mailbox_of: Callable[[str], Mailbox | None],
        deliver: Callable[[Mailbox, Claimed], None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._mailbox_of = mailbox_of
        self._deliver = deliver
        self._clock = clock
        self.behind: dict[str, Backlog] = {}
        """Those who have one."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._refilling: set[str] = set()

    def count(self, address: str) -> int:
        backlog = self.behind.get(address)
        return backlog.count if backlog else 0

    def begin(self, address: str) -> Backlog:
        """Have everything that waits for a receiver fetched from the beginning."""
        before = self.behind.get(address)
        self.drop(address)
        backlog = self.behind[address] = Backlog(0, 0, awaited=before.awaited if before else {})
        return backlog

    def leave(self, message: Message, after: int) -> None:
        """Note that a message is left in the store, beyond the sequence number `after`."""
        backlog = self.behind.get(message.receiver)
        if backlog is None:
            backlog = self.behind[message.receiver] = Backlog(after, 0)
        backlog.count += 1
        backlog.left += 1
        if message.awaited:
            backlog.awaited[message.id] = message

    def drop(self, address: str) -> Collection[Message]:
        """Its receiver takes nothing more; what waits is looked for anew when it comes back.

        Returned are the messages among them whose senders wait for the reply.
        """
        backlog = self.behind.pop(address, None)
        if backlog is None:
            return ()
        return backlog.awaited.values()

    def room(self, address: str) -> None:
        """A message of this receiver is dealt with: fetch more where that leaves room for it."""
        backlog = self.behind.get(address)
        mailbox = self._mailbox_of(address)
        if backlog is None or mailbox is None or address in self._refilling or mailbox.depth > mailbox.limit * REFILL:
            return
        self._refilling.add(address)
        task = asyncio.create_task(self._fetch_later(address), name=f"backlog of {address}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def fetch(self, address: str) -> None:
        """Fill the mailbox with what waits, as far as there is room."""
        backlog = self.behind.get(address)
        if backlog is None or backlog.fetching:
            return
        backlog.fetching = True
        try:
            await self._fetch(address, backlog)
        finally:
            backlog.fetching = False

    async def finish(self) -> None:
        """Let nothing more be fetched."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch_later(self, address: str) -> None:
        try:
            while True:
                try:
                    await self.fetch(address)
                except CaxtonError as error:
                    log.error("what waits for %s could not be fetched: %s", address, error)
                else:
                    return
                await self._clock.sleep(PAUSE)
        finally:
            self._refilling.discard(address)

    async def _fetch(self, address: str, backlog: Backlog) -> None:
        while self.behind.get(address) is backlog and (mailbox := self._mailbox_of(address)):
            room = mailbox.limit - mailbox.depth
            if room <= 0:
                return
            limit = min(room, FETCH)
            left = backlog.left
            claimed = await self._store.claim(address, after=backlog.after, limit=limit)
            if self.behind.get(address) is not backlog:
                return  # its receiver has gone, or begins anew
            for one in claimed:
                backlog.after = one.seq
                backlog.awaited.pop(one.message.id, None)
                self._deliver(mailbox, one)
            backlog.count = max(0, backlog.count - len(claimed))
            if len(claimed) < limit and backlog.left == left:
                # Nothing was left in the store since it was asked: from now on messages go to the mailbox again.
                self.behind.pop(address, None)
                return
