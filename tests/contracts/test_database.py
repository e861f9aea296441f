"""What every database has to do. A new backend is one more id of the fixture `database`."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.database import Database, Session
from caxton.storage.database import open_database

DEADLINE = 10.0
"""Seconds that a test waits for another thread at most."""


@pytest.fixture(params=["sqlite"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "caxton.db") as database:
        await database.write(lambda session: session.execute("CREATE TABLE things (name TEXT PRIMARY KEY)"))
        yield database


def put(name: str):
    return lambda session: session.execute("INSERT INTO things VALUES (?) RETURNING name", (name,))


def names(session: Session) -> list[str]:
    return [name for (name,) in session.execute("SELECT name FROM things ORDER BY name")]


async def test_a_write_returns_what_its_work_returned(database):
    assert await database.write(put("a")) == [("a",)]
    assert await database.write(lambda session: 42) == 42


async def test_a_read_sees_what_was_written_before_it(database):
    for number in range(20):
        await database.write(put(f"{number:02}"))
        assert len(database.read(names)) == number + 1
        assert len(await database.scan(names)) == number + 1


async def test_writes_are_done_in_the_order_they_were_given(database):
    await database.write(lambda session: session.execute("CREATE TABLE log (number INTEGER)"))
    given = range(300)
    insert = "INSERT INTO log VALUES (?)"
    await asyncio.gather(*(database.write(lambda session, n=n: session.execute(insert, (n,))) for n in given))
    assert database.read(lambda session: session.execute("SELECT number FROM log ORDER BY rowid")) == [
        (number,) for number in given
    ]


async def test_works_at_once_each_get_their_own_result(database):
    results = await asyncio.gather(*(database.write(put(f"{number:04}")) for number in range(2500)))
    assert results == [[(f"{number:04}",)] for number in range(2500)]
    assert len(database.read(names)) == 2500


async def test_a_work_that_raises_is_undone_alone(database):
    def breaks(session: Session) -> None:
        put("half")(session)
        raise ZeroDivisionError("on purpose")

    outcomes = await asyncio.gather(
        database.write(put("before")), database.write(breaks), database.write(put("after")), return_exceptions=True
    )
    assert outcomes[::2] == [[("before",)], [("after",)]]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert database.read(names) == ["after", "before"]


async def test_a_work_that_the_database_refuses_is_undone_alone(database):
    await database.write(put("a"))

    def repeats(session: Session) -> None:
        put("half")(session)
        put("a")(session)

    outcomes = await asyncio.gather(
        database.write(put("b")), database.write(repeats), database.write(put("c")), return_exceptions=True
    )
    assert outcomes[::2] == [[("b",)], [("c",)]]
    assert isinstance(outcomes[1], CaxtonError)
    assert outcomes[1].code is Code.STORAGE_FAILED
    assert "UNIQUE" in outcomes[1].message
    assert database.read(names) == ["a", "b", "c"]


class OddExit(BaseException):
    """Not an Exception, as the errors are not that end a task or the process."""


ERRORS = [StopIteration("empty"), OddExit(), CaxtonError(Code.INTERNAL, "no")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_whatever_a_work_raises_the_others_are_answered(database, error):
    def breaks(session: Session) -> None:
        raise error

    async with asyncio.timeout(DEADLINE):
        works = [put("a"), breaks, put("b")]
        before, broken, after = [asyncio.ensure_future(database.write(work)) for work in works]
        assert await before == [("a",)]
        with pytest.raises((OddExit, RuntimeError, CaxtonError)):
            await broken
        assert await after == [("b",)]
        assert await database.write(put("c")) == [("c",)]


async def test_a_work_whose_caller_stopped_waiting_is_done_all_the_same(database):
    running, finish = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        running.set()
        assert finish.wait(DEADLINE)
        put("slow")(session)

    waiting = [asyncio.ensure_future(database.write(work)) for work in (slow, put("queued"))]
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.to_thread(running.wait, DEADLINE)
        for one in waiting:
            one.cancel()
        assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 2
        finish.set()
        await database.write(put("next"))
    assert database.read(names) == ["next", "queued", "slow"]


async def test_a_write_is_not_seen_before_it_is_done(database):
    running, finish = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        put("slow")(session)
        running.set()
        assert finish.wait(DEADLINE)

    async with asyncio.timeout(DEADLINE):
        writing = asyncio.ensure_future(database.write(slow))
        assert await asyncio.to_thread(running.wait, DEADLINE)
        assert database.read(names) == []
        assert await database.scan(names) == []
        finish.set()
        await writing
    assert database.read(names) == ["slow"]


async def test_reads_and_writes_go_on_beside_a_long_scan(database):
    running, finish = threading.Event(), threading.Event()

    def long(session: Session) -> list[str]:
        running.set()
        assert finish.wait(DEADLINE)
        return names(session)

    async with asyncio.timeout(DEADLINE):
        scanning = asyncio.ensure_future(database.scan(long))
        assert await asyncio.to_thread(running.wait, DEADLINE)
        await database.write(put("meanwhile"))
        assert database.read(names) == ["meanwhile"]
        finish.set()
        assert await scanning == ["meanwhile"]


async def test_a_read_or_scan_that_writes_is_refused(database):
    with pytest.raises(CaxtonError) as failure:
        database.read(put("a"))
    assert failure.value.code is Code.STORAGE_FAILED
    with pytest.raises(CaxtonError):
        await database.scan(put("a"))
    assert database.read(names) == []


async def test_errors_of_reads_are_storage_failures_that_say_what_went_wrong(database):
    def astray(session: Session) -> object:
        return session.execute("SELECT * FROM nowhere")

    with pytest.raises(CaxtonError) as reading:
        database.read(astray)
    with pytest.raises(CaxtonError) as scanning:
        await database.scan(astray)
    for failure in (reading, scanning):
        assert failure.value.code is Code.STORAGE_FAILED
        assert "no such table: nowhere" in failure.value.message


VALUES = {
    "empty text": "",
    "nul": "a\0b",
    "emoji": "👋",
    "long text": "x" * 1_000_000,
    "empty bytes": b"",
    "bytes": b"\0\xff",
    "zero": 0,
    "large": 2**62,
    "float": -1.5,
    "null": None,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_values_come_back_as_they_were(database, value):
    assert await database.write(lambda session: session.execute("SELECT ?", (value,))) == [(value,)]
    assert database.read(lambda session: session.execute("SELECT ?", (value,))) == [(value,)]


class TestScrub:
    def held(self, tmp_path: Path) -> bytes:
        return b"".join(file.read_bytes() for file in tmp_path.glob("caxton.db*"))

    async def test_nothing_deleted_is_left_while_the_database_is_open(self, database, tmp_path):
        for number in range(200):
            await database.write(put(f"secret {number:03} {'x' * 500}"))
            await database.write(put(f"plain {number:03} {'x' * 500}"))
        await database.write(lambda session: session.execute("DELETE FROM things WHERE name LIKE 'secret%'"))
        assert b"secret" in self.held(tmp_path)
        await database.scrub()
        assert b"secret" not in self.held(tmp_path)
        assert len(database.read(names)) == 200

    async def test_works_given_before_and_after_are_done_in_their_order(self, database):
        works = [database.write(put(f"{number:02}")) for number in range(5)]
        works += [database.scrub(), *(database.write(put(f"{number:02}")) for number in range(5, 10)), database.scrub()]
        await asyncio.gather(*works)
        assert database.read(names) == [f"{number:02}" for number in range(10)]
