import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from types import SimpleNamespace

import apsw
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.database import Session
from caxton.storage import database, writer
from caxton.storage.database import ApswSession, SqliteDatabase, open_database
from caxton.storage.writer import Writer

DEADLINE = 10.0
"""Seconds that a test waits for another thread at most."""
SLOW = "INSERT INTO things VALUES ('slow')"


@pytest.fixture
async def works(tmp_path, monkeypatch) -> AsyncIterator[SimpleNamespace]:
    """A writer on a table `things`, and what it has done: the commits and the calls into the event loop."""
    done = SimpleNamespace(commits=0, calls=0, works=[])
    with closing(apsw.Connection(str(tmp_path / "db"))) as connection:
        connection.execute("CREATE TABLE things (name TEXT UNIQUE ON CONFLICT ROLLBACK)")

        def committed() -> bool:
            done.commits += 1
            return False

        def called(callback: Callable[..., object], *arguments: object) -> object:
            done.calls += 1
            return call_soon(callback, *arguments)

        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", called)
        connection.set_commit_hook(committed)
        done.writer = Writer(connection, ApswSession(connection), tmp_path / "db")
        done.held = lambda: Held(done.writer)
        done.names = lambda: [name for (name,) in connection.execute("SELECT name FROM things")]
        yield done
        await asyncio.to_thread(done.writer.close)


class Held:
    """The writer kept busy with a first work for the length of the block; what is given meanwhile queues up."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._running, self._finish = threading.Event(), threading.Event()

    async def __aenter__(self) -> asyncio.Future[object]:
        first = self._writer.submit(self._work)
        assert await asyncio.to_thread(self._running.wait, DEADLINE)
        return first

    async def __aexit__(self, *_: object) -> None:
        self._finish.set()

    def _work(self, session: Session) -> None:
        self._running.set()
        assert self._finish.wait(DEADLINE)
        session.execute(SLOW)


def put(name: str) -> Callable[[Session], object]:
    return lambda session: session.execute("INSERT INTO things VALUES (?)", (name,))


async def ended(futures: list[asyncio.Future[object]]) -> list[object]:
    """What came of them: a result or an error each."""
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*futures, return_exceptions=True)


class TestGroupCommit:
    async def test_what_queues_up_during_a_commit_shares_the_next_one(self, works):
        async with works.held() as first:
            queued = [works.writer.submit(put(f"{number}")) for number in range(100)]
        await ended([first, *queued])
        assert works.commits == 2
        assert works.calls == 2 + 1  # one a batch, and one by the thread that waited for the first to run

    async def test_a_commit_is_shared_by_a_bounded_number(self, works, monkeypatch):
        monkeypatch.setattr(writer, "BATCH", 10)
        async with works.held() as first:
            queued = [works.writer.submit(put(f"{number}")) for number in range(25)]
        await ended([first, *queued])
        assert works.commits == 1 + 3
        assert works.names() == ["slow", *(f"{number}" for number in range(25))]

    async def test_a_work_alone_does_not_wait_for_company(self, works):
        await ended([works.writer.submit(put("alone"))])
        assert works.names() == ["alone"]

    async def test_closing_finishes_what_was_given_and_takes_no_more(self, works):
        async with works.held() as first:
            queued = [works.writer.submit(put(f"{number}")) for number in range(5)]
            closing = [asyncio.ensure_future(asyncio.to_thread(works.writer.close)) for _ in range(2)]
            while not works.writer.closed:
                await asyncio.sleep(0)
            with pytest.raises(CaxtonError) as failure:
                works.writer.submit(put("late"))
            assert failure.value.code is Code.STORAGE_FAILED
        assert not any(isinstance(one, BaseException) for one in await ended([first, *queued, *closing]))
        assert works.names() == ["slow", "0", "1", "2", "3", "4"]

    async def test_a_cancelled_wait_stops_neither_its_own_work_nor_the_others(self, works):
        async with works.held() as first:
            cancelled, other = works.writer.submit(put("cancelled")), works.writer.submit(put("other"))
            cancelled.cancel()
        await ended([first, other])
        assert works.names() == ["slow", "cancelled", "other"]


class TestFailure:
    async def test_when_sqlite_undoes_the_transaction_all_of_its_works_are_told_the_cause(self, works):
        await ended([works.writer.submit(put("twice"))])
        async with works.held() as first:
            queued = [works.writer.submit(put(name)) for name in ("before", "twice", "after")]
        assert await first is None
        failures = await ended(queued)
        assert [type(failure) for failure in failures] == [CaxtonError] * 3
        assert all("UNIQUE constraint failed" in failure.message for failure in failures)
        assert len(set(map(id, failures))) == 3  # an error raised in several tasks would collect all their tracebacks
        await ended([works.writer.submit(put("next"))])
        assert works.names() == ["twice", "slow", "next"]

    async def test_a_work_that_hides_that_sqlite_undid_the_transaction_does_not_harm_the_next(self, works):
        def hides(session: Session) -> None:
            try:
                put("slow")(session)
            except apsw.ConstraintError as error:
                raise LookupError("hidden") from error

        async with works.held() as first:
            queued = [works.writer.submit(work) for work in (put("before"), hides, put("after"))]
        assert await first is None
        assert [type(failure) for failure in await ended(queued)] == [CaxtonError] * 3
        await ended([works.writer.submit(put("next"))])
        assert works.names() == ["slow", "next"]

    async def test_a_work_that_ends_the_transaction_itself_is_a_failure_of_its_batch(self, works):
        async with works.held() as first:
            queued = [works.writer.submit(lambda session: session.execute("ROLLBACK")), works.writer.submit(put("a"))]
        assert await first is None
        assert [type(failure) for failure in await ended(queued)] == [CaxtonError] * 2
        await ended([works.writer.submit(put("next"))])
        assert works.names() == ["slow", "next"]


@pytest.fixture
async def opened(disk, tmp_path) -> AsyncIterator[SqliteDatabase]:
    async with open_database(tmp_path / "caxton.db") as database:
        await database.write(lambda session: session.execute("CREATE TABLE things (name TEXT)"))
        await database.write(put("earlier"))
        yield database


def names(session: Session) -> list[str]:
    return [name for (name,) in session.execute("SELECT substr(name, 1, 9) FROM things ORDER BY rowid")]


class TestDisk:
    @pytest.mark.parametrize(
        ("fault", "why"), [("full", "disk is full"), ("broken", "disk failed"), ("unsafe", "disk failed")]
    )
    async def test_what_could_not_be_stored_is_told_and_the_next_may_be(self, opened, disk, fault, why):
        setattr(disk, fault, True)
        for _ in range(2):
            failures = await asyncio.gather(*(opened.write(put("lost")) for _ in range(5)), return_exceptions=True)
            assert all(isinstance(failure, CaxtonError) for failure in failures), failures
            assert {failure.code for failure in failures} == {Code.STORAGE_FAILED}
            assert all(why in failure.why for failure in failures), [failure.why for failure in failures]
            assert opened.read(names) == ["earlier"]
        setattr(disk, fault, False)
        await opened.write(put("later"))
        assert opened.read(names) == ["earlier", "later"]

    async def test_a_disk_that_fills_up_in_the_middle_of_a_work_is_named_as_the_cause(self, opened, disk):
        # More than the page cache holds, so that SQLite writes, and gives up the transaction, before the commit.
        disk.full = True
        failures = await asyncio.gather(
            *(opened.write(put(name * 20_000_000)) for name in ("a", "b")), return_exceptions=True
        )
        assert [failure.why for failure in failures] == ["The disk is full."] * 2
        disk.full = False
        await opened.write(put("later"))
        assert opened.read(names) == ["earlier", "later"]

    async def test_a_limit_on_the_files_size_fails_the_work_that_meets_it_and_no_later_one(self, opened):
        def limit(pages: int) -> Callable[[Session], object]:
            return lambda session: session.execute(f"PRAGMA max_page_count = {pages}")

        ((pages,),) = opened.read(lambda session: session.execute("PRAGMA page_count"))
        await opened.write(limit(pages))
        with pytest.raises(CaxtonError) as failure:
            await opened.write(put("x" * 100_000))
        assert failure.value.why == "The disk is full."
        await opened.write(put("small"))
        await opened.write(limit(10_000))
        await opened.write(put("later" + "x" * 100_000))
        assert opened.read(names) == ["earlier", "small", "laterxxxx"]

    async def test_acknowledged_means_that_the_disk_was_waited_for(self, opened, disk):
        before = disk.syncs
        await opened.write(put("durable"))
        assert disk.syncs > before


async def test_another_processs_lock_is_waited_for_once_a_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY", 50)
    async with open_database(tmp_path / "caxton.db") as opened:
        await opened.write(lambda session: session.execute("CREATE TABLE things (name TEXT)"))
        with closing(apsw.Connection(str(tmp_path / "caxton.db"))) as other:
            other.execute("BEGIN IMMEDIATE")
            # Once each they would take 25 seconds.
            async with asyncio.timeout(DEADLINE):
                failures = await asyncio.gather(*(opened.write(put("a")) for _ in range(500)), return_exceptions=True)
            assert {failure.why for failure in failures} == {"Another process holds the database."}
            other.execute("ROLLBACK")
        await opened.write(put("later"))
        assert opened.read(names) == ["later"]
