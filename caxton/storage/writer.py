"""The writer: one thread, one connection, many works a commit.

While one commit waits for the disk the next works queue up, and share the following one. Durability costs one wait for
the disk a batch, however many works are in it.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from caxton.domain.ports.database import Session
from caxton.storage.failures import storage_closed, storage_error

BATCH = 1000
"""Works that share a commit at most: it bounds how long the first of them waits for the last."""


class Work(NamedTuple):
    run: Callable[[Session], Any]
    done: asyncio.Future[Any]
    apart: bool = False


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
        self.closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[Session], Any], *, apart: bool = False) -> asyncio.Future[Any]:
        """A future that is resolved when the work is durable, and never before. The work is done even if cancelled.

        Work that stands `apart` is run in no transaction.
        """
        if self.closed:
            raise storage_closed(self._path)
        done: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Work(run, done, apart))
        return done

    def close(self) -> None:
        """Finish what was submitted and end the thread. Blocks meanwhile; repeating it waits for the same end."""
        if not self.closed:
            self.closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_end = True
        while open_end:
            batch: list[Work] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if item.apart or len(batch) == BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            open_end = item is not None
            last = batch.pop() if batch and batch[-1].apart else None
            if batch:
                self._loop.call_soon_threadsafe(_resolve, self._commit(batch))
            if last:
                self._loop.call_soon_threadsafe(_resolve, [self._alone(last)])

    def _commit(self, batch: list[Work]) -> list[Outcome]:
        """Run a batch in one transaction; a work that raises is undone alone."""
        execute = self._session.execute
        try:
            # Immediate: a deferred transaction would wait for another process's lock once a work, not once a batch.
            execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(work) for work in batch]
            execute("COMMIT")
        except BaseException as error:
            # The transaction failed as a whole: none of its works happened.
            with suppress(apsw.Error):  # mostly SQLite has rolled back by itself; if not, the next BEGIN will say so
                execute("ROLLBACK")
            return [Outcome(work.done, None, storage_error(self._path, error)) for work in batch]
        return outcomes

    def _attempt(self, work: Work) -> Outcome:
        execute = self._session.execute
        execute("SAVEPOINT work")
        try:
            result = work.run(self._session)
        except BaseException as error:
            if not self._connection.in_transaction:
                raise  # SQLite rolled the whole transaction back, as it may when the disk is full
            execute("ROLLBACK TO work")
            execute("RELEASE work")
            return Outcome(work.done, None, self._failure(error))
        execute("RELEASE work")
        return Outcome(work.done, result, None)

    def _alone(self, work: Work) -> Outcome:
        try:
            return Outcome(work.done, work.run(self._session), None)
        except BaseException as error:
            return Outcome(work.done, None, self._failure(error))

    def _failure(self, error: BaseException) -> BaseException:
        """What the caller of a work that raised `error` gets to see."""
        if isinstance(error, apsw.Error):
            return storage_error(self._path, error)
        if isinstance(error, StopIteration):
            # No future takes it, and the others of the batch would never hear of theirs.
            return RuntimeError(f"a work on the database raised {error!r}")
        return error


def _resolve(outcomes: list[Outcome]) -> None:
    for done, result, error in outcomes:
        if done.cancelled():
            continue
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)
