"""Housekeeping: what waits too long becomes a dead letter, what is old goes, into files first where that is wished."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from caxton.bus.archive import Archive, ArchivedMessage, line_of
from caxton.domain.bus_settings import BusSettings
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError
from caxton.domain.message import MessageState, StoredMessage
from caxton.domain.ports.bus import BusObserver
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeadLetterStore, Keeper

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds from one round to the next."""
STEP = 200
"""Messages in hand at once; others get their turn at the store between."""
LONGEST = 16 * 2**20
"""Bytes in one file, not compressed: when there are that many it is written."""


class Kept(Keeper, DeadLetterStore, Protocol):
    """The store as housekeeping needs it."""


class Tidied(msgspec.Struct, frozen=True, kw_only=True):
    """What one round did. `dropped` counts those put into files, too."""

    expired: int = 0
    keys: int = 0
    archived: int = 0
    dropped: int = 0


class Keeping:
    """Made by `open_keeping`."""

    def __init__(
        self,
        *,
        store: Kept,
        settings: BusSettings,
        archive: Archive,
        clock: Clock,
        running: Callable[[], Collection[str]],
        observers: Sequence[BusObserver] = (),
    ) -> None:
        self._store = store
        self._settings = settings
        self._archive = archive
        self._clock = clock
        self._running = running
        self._observers = observers

    async def tidy(self) -> Tidied:
        """One round. CaxtonError or OSError where it had to stop; nothing is lost, and the next one goes on there."""
        settings, now = self._settings, self._clock.now()
        expired = await self._expire(now)
        keys = await self._store.forget_keys(now - settings.idempotency_window)
        archived = dropped = 0
        if settings.retention is not None:
            # A key is known for its window, and so is what it stands for.
            before = now - max(settings.retention, settings.idempotency_window)
            archived, dropped = await self._let_go(before, dead=False)
        if settings.dead_letter_retention is not None:
            put, gone = await self._let_go(now - settings.dead_letter_retention, dead=True)
            archived, dropped = archived + put, dropped + gone
        return Tidied(expired=expired, keys=keys, archived=archived, dropped=dropped)

    async def run(self) -> None:
        """Round after round. What goes wrong in one is logged, and tried again in the next."""
        self._archive.clean()
        while True:
            await self._clock.sleep(EVERY)
            try:
                tidied = await self.tidy()
            except (CaxtonError, OSError) as error:
                log.error("housekeeping could not be finished, and goes on in %.0f s: %s", EVERY, error)
            except Exception:  # a fault of ours is no reason to stop the server, nor to keep house no more
                log.exception("housekeeping failed, and goes on in %.0f s", EVERY)
            else:
                if tidied != Tidied():
                    log.info("housekeeping: %s", tidied)

    async def _expire(self, now: float) -> int:
        waiting, count = self._settings.waiting, 0
        unclaimed_before = None if waiting is None else now - waiting
        while expired := await self._store.expire(
            now, unclaimed_before=unclaimed_before, running=self._running(), limit=STEP
        ):
            count += len(expired)
            for message in expired:
                letter = self._store.dead_letter(message.id)
                error = letter.error if letter else None
                why = error.message if error else "it was purged since"
                log.warning("message %s to %s is a dead letter: %s", message.id, message.receiver, why)
                for observer in self._observers:
                    observer.observe(BusEvent(kind=BusEventKind.BURIED, at=now, message=message, error=error))
        return count

    async def _let_go(self, before: float, *, dead: bool) -> tuple[int, int]:
        """Delete what is older, into files first where so wished; how many were put there, and how many deleted."""
        archived = dropped = 0
        while ids := await (self._put_away(before, dead=dead) if self._settings.archive else self._old(before, dead)):
            archived += len(ids) if self._settings.archive else 0
            for begin in range(0, len(ids), STEP):
                dropped += await self._store.drop(ids[begin : begin + STEP])
        return archived, dropped

    async def _old(self, before: float, dead: bool) -> list[str]:
        return [one.message.id for one in await self._store.archivable(before, limit=STEP, dead=dead)]

    async def _put_away(self, before: float, *, dead: bool) -> list[str]:
        """Put what is older into a file, and have it on the disk; the ids, none where there is nothing.

        Deleted after that, and not before: who dies between finds them again, and puts them into another file, too.
        """
        lines: list[bytes] = []
        ids: list[str] = []
        size = 0
        while size < LONGEST and (
            page := await self._store.archivable(before, limit=STEP, after=ids[-1] if ids else None, dead=dead)
        ):
            lines += [line_of(self._archived(one)) for one in page]
            ids += [one.message.id for one in page]
            size = sum(map(len, lines))
        if lines:
            await asyncio.to_thread(self._archive.add, lines, self._clock.now())
        return ids

    def _archived(self, one: StoredMessage) -> ArchivedMessage:
        letter = self._store.dead_letter(one.message.id) if one.state is MessageState.DEAD else None
        return ArchivedMessage(
            message=one.message,
            state=one.state,
            attempts=one.attempts,
            failures=letter.failures if letter else (),
            died_at=letter.died_at if letter else None,
        )


@asynccontextmanager
async def open_keeping(
    *,
    store: Kept,
    settings: BusSettings,
    archive: Archive,
    clock: Clock,
    running: Callable[[], Collection[str]],
    observers: Sequence[BusObserver] = (),
) -> AsyncIterator[Keeping]:
    """Housekeeping until the end of the block. `running` says who deals with what is in the store for it now."""
    keeping = Keeping(
        store=store, settings=settings, archive=archive, clock=clock, running=running, observers=observers
    )
    task = asyncio.create_task(keeping.run(), name="housekeeping of the bus")
    try:
        yield keeping
    finally:
        task.cancel()
        await asyncio.wait([task])
