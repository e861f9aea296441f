"""The writer: one thread, one connection, many works a commit.

While one commit waits for the disk the next works queue up, and share the following one. Durability costs one wait for
the disk a batch, however many works are in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.database import Session
from caxton.storage.failures import storage_error

BATCH = 1000
"""Works that share a commit at most: it bounds how long the first of them waits for the last."""


class Work(NamedTuple):
    run: Callable[[Session], Any]
    done: asyncio.Future[Any]


class Outcome(NamedTuple):
    done: asyncio.Future[Any]
    result: Any
    error: BaseException | None


class Writer:
    """Owns its thread from construction to `close`. Works are run in the order in which they were given."""

    def __init__(self, connection: apsw.Connection, session: Session, path: Path) -> None:
        self._connection = connection
        self._session = session
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Session], Any]) -> asyncio.Future[Any]:
        """A future that is resolved when the work is durable, and never before."""
        if self._closed:
            raise CaxtonError(Code.STORAGE_FAILED, "The database is closed.")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Work(run, done))
        return done

    def close(self) -> None:
        """Finish what was submitted and end the thread. Blocks meanwhile."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        open_end = True
        while open_end:
            batch: list[Work] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            open_end = item is not None
            if batch:
                self._loop.call_soon_threadsafe(_resolve, self._commit(batch))

    def _commit(self, batch: list[Work]) -> list[Outcome]:
        """Run a batch in one transaction; a work that raises is undone alone."""
        try:
            with self._connection:
                outcomes = [self._attempt(work) for work in batch]
        except apsw.Error as error:
            # The transaction as a whole failed and was rolled back: none of its works happened.
            failure = storage_error(self._path, error)
            return [Outcome(work.done, None, failure) for work in batch]
        return outcomes

    def _attempt(self, work: Work) -> Outcome:
        try:
            with self._connection:  # nested: a savepoint
                result = work.run(self._session)
        except apsw.Error as error:
            if not self._connection.in_transaction:
                raise  # SQLite rolled the whole transaction back, as it does when the disk is full
            return Outcome(work.done, None, storage_error(self._path, error))
        except Exception as error:
            return Outcome(work.done, None, error)
        return Outcome(work.done, result, None)


def _resolve(outcomes: list[Outcome]) -> None:
    for done, result, error in outcomes:
        if done.cancelled():
            continue
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)
