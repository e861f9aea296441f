"""What is done for a memory in the background: what has expired goes, what has no vector gets one, signs are kept."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from caxton.domain.errors import CaxtonError
from caxton.domain.memory import Vector
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database, Session
from caxton.memory import pages
from caxton.memory.meanings import Meanings, packed
from caxton.memory.rows import UNVECTOR, UNWORD, put_vector, put_words, searched_from

log = logging.getLogger(__name__)

ROUND = 60.0
"""Seconds between two looks for what has expired."""
LONGEST_PAUSE = 60.0
"""Seconds after which embedding is tried again at the latest, after 1, 2, 4 … """
TOGETHER = 64
"""Entries embedded and stored together."""
LOOKED_AT = 20_000
"""Entries looked at in one go for those that wait; searches take turns with that."""
SWEPT = 500
"""Expired entries deleted in one transaction."""

EXPIRED = "SELECT seq FROM memory_entries WHERE expires_at <= ? LIMIT ?"
DELETE = "DELETE FROM memory_entries WHERE seq IN (SELECT value FROM json_each(?))"
HELD = "SELECT total(entries) FROM memory_spaces"
EMBEDDED = "SELECT total(vectors) FROM memory_indexes WHERE model = ?"
STALE = "SELECT count(*) FROM memory_vectors WHERE model = ? AND number <= ?"
PENDING = """
SELECT e.seq, e.revision, e.key, e.value FROM memory_entries AS e
LEFT JOIN memory_vectors AS v ON v.entry = e.seq AND v.model = ?
WHERE e.seq > ? AND e.seq <= ? AND (v.number IS NULL OR v.number <= ?) ORDER BY e.seq LIMIT ?
"""
LAST = "SELECT coalesce(max(seq), 0) FROM memory_entries"
UNCHANGED = "SELECT space FROM memory_entries WHERE seq = ? AND revision = ?"
DROP_PAGES = "DELETE FROM memory_pages WHERE model <> ?"
DROP_INDEXES = "DELETE FROM memory_indexes WHERE model <> ? AND vectors = 0"
LEFT_OVER = """
SELECT 1 FROM memory_indexes WHERE model <> ? UNION ALL SELECT 1 FROM memory_models WHERE id = ? AND stale > 0 LIMIT 1
"""
REFRESHED = "UPDATE memory_models SET stale = 0 WHERE id = ?"


class Keeper:
    """Works while `run` runs; `wake` tells it that there is something to do."""

    def __init__(self, database: Database, meanings: Meanings, clock: Clock) -> None:
        self._database = database
        self._meanings = meanings
        self._clock = clock
        self._unsaved: list[pages.Unsaved] = []
        self._wake = asyncio.Event()
        self._one = asyncio.Lock()

    def wake(self) -> None:
        self._wake.set()

    def keep(self, unsaved: list[pages.Unsaved]) -> None:
        """Have pages written down."""
        if unsaved:
            self._unsaved += unsaved
            self.wake()

    async def run(self) -> None:
        """Work until cancelled. What fails is logged and tried again."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                await self.round()
                failures = 0
            except CaxtonError as error:
                log.warning("memory upkeep is put off: %s %s", error, error.why)
                failures += 1
            except Exception:
                # A fault, ours or an embedder's from elsewhere: what waits for this work must not wait for ever.
                log.exception("memory upkeep met a fault")
                failures += 1
            await self._pause(min(LONGEST_PAUSE, 2.0 ** (failures - 1)) if failures else ROUND)

    async def round(self) -> None:
        """Do all there is to do now, after whoever does so already."""
        async with self._one:
            while self._unsaved:
                # Taken first: pages that cannot be written are no loss, and are not tried for ever.
                await self._database.write(partial(pages.save, given=self._unsaved.pop()))
            await self._sweep()
            while await self._database.scan(self.pending):
                if not await self._embed():
                    break
            if await self._database.scan(self._left_over):
                await self._database.write(self._tidy)

    def pending(self, session: Session) -> int:
        """How many entries are to be embedded."""
        ((held,),) = session.execute(HELD)
        if (model := self._meanings.id(session)) is None:
            return int(held)
        ((embedded,),) = session.execute(EMBEDDED, (model,))
        stale = self._meanings.stale(session)
        old = session.execute(STALE, (model, stale))[0][0] if stale else 0
        return int(held - embedded + old)

    async def _pause(self, seconds: float) -> None:
        waits = {asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _sweep(self) -> None:
        now = self._clock.now()
        while rows := await self._database.scan(lambda session: session.execute(EXPIRED, (now, SWEPT))):
            await self._database.write(partial(_delete, seqs=[seq for (seq,) in rows]))

    async def _embed(self) -> int:
        """Go through all entries once and embed those that wait for it; how many."""
        done = 0
        after: int | None = 0
        while after is not None:
            rows, after = await self._database.scan(partial(self._batch, after=after))
            if rows:
                vectors = await self._meanings.of([searched_from(key, value) for _, _, key, value in rows])
                done += await self._database.write(partial(self._store, rows=rows, vectors=vectors))
        return done

    def _batch(self, session: Session, after: int) -> tuple[list[tuple[Any, ...]], int | None]:
        """Some entries that wait, and the seq to go on after; None once all were looked at."""
        model, stale, end = self._meanings.id(session), self._meanings.stale(session), after + LOOKED_AT
        rows = session.execute(PENDING, (model, after, end, stale, TOGETHER))
        if len(rows) == TOGETHER:
            return rows, rows[-1][0]
        ((last,),) = session.execute(LAST)
        return rows, end if end < last else None

    def _store(self, session: Session, rows: Sequence[tuple[Any, ...]], vectors: Sequence[Vector]) -> int:
        """Give entries their vectors, and their words anew; those that changed meanwhile are passed over."""
        model, done = self._meanings.record(session), 0
        for (seq, revision, key, value), vector in zip(rows, vectors, strict=True):
            if not (found := session.execute(UNCHANGED, (seq, revision))):
                continue
            session.execute(UNVECTOR, (seq,))
            session.execute(UNWORD, (seq,))
            put_words(session, seq, found[0][0], searched_from(key, value))
            put_vector(session, seq, found[0][0], model, packed(vector))
            done += 1
        return done

    def _left_over(self, session: Session) -> bool:
        """Whether anything of an earlier model, or of a reindexing that is done, waits to be tidied away."""
        model = self._meanings.id(session)
        return model is not None and not self.pending(session) and bool(session.execute(LEFT_OVER, (model, model)))

    def _tidy(self, session: Session) -> None:
        if (model := self._meanings.id(session)) is not None and not self.pending(session):
            session.execute(DROP_PAGES, (model,))
            session.execute(DROP_INDEXES, (model,))
            session.execute(REFRESHED, (model,))


def _delete(session: Session, seqs: Sequence[int]) -> None:
    session.execute(DELETE, (msgspec.json.encode(seqs).decode(),))
