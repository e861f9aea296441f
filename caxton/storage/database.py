"""The database: where the connections are opened and put together."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.database import Session, SqlValue
from caxton.storage.failures import explained, storage_closed
from caxton.storage.lock import locked
from caxton.storage.migrate import migrate
from caxton.storage.writer import Writer

T = TypeVar("T")

BUSY = 5000
"""Milliseconds to wait for another process that reads or backs up the file."""
SCANNED = 32 * 1024
"""Kibibytes of the file that long reads may keep in memory."""


class ApswSession:
    """Implements `ports.database.Session` on one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(sql, parameters))

    def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        before = self._connection.total_changes()
        self._connection.executemany(sql, rows)
        return self._connection.total_changes() - before


class SqliteDatabase:
    """Implements `ports.database.Database`; made by `open_database`."""

    def __init__(
        self, path: Path, writer: Writer, reader: Session, scanner: Session, scans: ThreadPoolExecutor
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._scanner = scanner
        self._scans = scans

    async def write(self, work: Callable[[Session], T]) -> T:
        result: T = await self._writer.submit(work)
        return result

    async def scrub(self) -> None:
        await self._writer.submit(_rewrite, apart=True)

    def read(self, work: Callable[[Session], T]) -> T:
        with explained(self.path):
            return work(self._reader)

    async def scan(self, work: Callable[[Session], T]) -> T:
        if self._writer.closed:
            raise storage_closed(self.path)

        def run() -> T:
            with explained(self.path):
                return work(self._scanner)

        return await asyncio.get_running_loop().run_in_executor(self._scans, run)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[SqliteDatabase]:
    """The database at `path`, made with its directory if need be, for this process alone.

    CaxtonError `storage_failed` where it cannot be used: no permission, another server, a damaged or foreign file, a
    newer schema. Such a file is left as it is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The data directory {str(path.parent)!r} cannot be made.",
            why=str(error),
            hint="Choose another: `--data-dir`, CAXTON_DATA_DIR or `data_dir` in `[server]`.",
        ) from error
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(path.with_suffix(".lock")))
        # Made here if need be: what is said to agents is nobody else's to read, whoever may look into the directory.
        # SQLite gives its log the same mode, and tells better than we could why a file cannot be opened.
        with suppress(OSError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with explained(path):
            connection = stack.enter_context(closing(_connect(path)))
            # An accepted message has to survive a power cut: FULL makes every commit wait for the disk.
            connection.pragma("synchronous", "FULL")
            # Before the journal mode, which is the file's own: that of a file which is not ours stays as it is.
            migrate(connection, path)
            if (mode := connection.pragma("journal_mode", "WAL")) != "wal":
                raise CaxtonError(
                    Code.STORAGE_FAILED,
                    f"The database {str(path)!r} cannot have a write-ahead log (its journal mode stays {mode!r}).",
                    why="That takes a local disk, where processes can share memory.",
                    hint="Choose a data directory on one: `--data-dir`, CAXTON_DATA_DIR.",
                )
            reader = stack.enter_context(closing(_connect(path, readonly=True)))
            scanner = stack.enter_context(closing(_connect(path, readonly=True)))
            # A search by meaning reads vectors from all over the file, again and again.
            scanner.pragma("cache_size", -SCANNED)
        scans = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite scan"))
        writer = Writer(connection, ApswSession(connection), path)
        # Again here, where cancelling the wait below leads: no connection is closed under a running writer.
        stack.callback(writer.close)
        try:
            yield SqliteDatabase(path, writer, ApswSession(reader), ApswSession(scanner), scans)
        finally:
            await asyncio.to_thread(writer.close)


def _rewrite(session: Session) -> None:
    session.execute("VACUUM")
    # What was deleted is in the log still, as it was before: cut off once the file has everything.
    ((busy, _, _),) = session.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if busy:
        raise apsw.BusyError("a reader holds the log")


def _connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    mode = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=mode)
    connection.set_busy_timeout(BUSY)
    return connection
