import asyncio
import sqlite3
import sys
import threading
from contextlib import closing

import apsw
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.storage.database import open_database

DEADLINE = 10.0


async def told(path):
    """The CaxtonError that opening ends with."""
    with pytest.raises(CaxtonError) as caught:
        async with open_database(path):
            pass
    assert caught.value.code is Code.STORAGE_FAILED
    return caught.value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "caxton.db"


async def put(database, name):
    await database.write(lambda session: session.execute("INSERT INTO things VALUES (?)", (name,)))


def things(session):
    return [name for (name,) in session.execute("SELECT name FROM things ORDER BY rowid")]


async def make(path):
    """A database with one thing in it."""
    async with open_database(path) as database:
        await database.write(lambda session: session.execute("CREATE TABLE things (name TEXT)"))
        await put(database, "kept")


class TestOpening:
    async def test_file_and_directories_are_made(self, path):
        async with open_database(path) as database:
            assert database.path == path
        assert path.is_file()

    @pytest.mark.skipif(sys.platform == "win32", reason="files have owners, and no modes, there")
    async def test_nobody_else_may_read_it_even_in_a_directory_open_to_all(self, path):
        path.parent.mkdir(mode=0o755)
        async with open_database(path) as database:
            await database.write(lambda session: session.execute("CREATE TABLE things (name TEXT)"))
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(["caxton.db", "caxton.db-shm", "caxton.db-wal", "caxton.lock"], 0o600)

    async def test_what_was_written_is_there_at_the_next_opening(self, path):
        await make(path)
        async with open_database(path) as database:
            assert database.read(things) == ["kept"]

    async def test_an_accepted_write_waits_for_the_disk_and_readers_wait_for_nobody(self, path):
        async with open_database(path) as database:
            pragmas = await database.write(
                lambda session: [session.execute(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")]
            )
        assert pragmas == ["wal", 2]

    async def test_a_directory_that_cannot_be_made_is_named_with_the_way_out(self, tmp_path):
        (tmp_path / "file").write_text("")
        error = await told(tmp_path / "file" / "data" / "caxton.db")
        assert repr(str(tmp_path / "file" / "data")) in error.message
        assert "--data-dir" in error.hint

    async def test_a_directory_in_the_place_of_the_file_is_told(self, path):
        path.mkdir(parents=True)
        error = await told(path)
        assert error.why == "The file cannot be opened."
        assert path.is_dir()

    async def test_a_second_opening_is_refused_while_the_first_lasts(self, path):
        async with open_database(path):
            error = await told(path)
            assert "Another Caxton server" in error.message
            assert str(path.parent) in error.message
        async with open_database(path):
            pass

    async def test_an_opening_that_fails_leaves_it_to_the_next(self, path):
        path.parent.mkdir()
        path.write_bytes(b"this is no database " * 100)
        await told(path)
        path.unlink()
        async with open_database(path):
            pass


class TestForeignFiles:
    @pytest.mark.parametrize(
        "data",
        [
            b"this is no database, and long enough to be looked at " * 100,
            b"\0" * 8192,
            b"SQLite format 3\0" + b"\xff" * 8176,
        ],
        ids=["text", "zeros", "header"],
    )
    async def test_a_file_that_is_no_database_is_told_and_left_alone(self, path, data):
        path.parent.mkdir()
        path.write_bytes(data)
        error = await told(path)
        assert str(path) in error.message
        assert error.hint
        assert path.read_bytes() == data

    async def test_another_programs_database_is_told_and_left_alone(self, path):
        path.parent.mkdir()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE theirs (name TEXT)")
        other.close()
        before = path.read_bytes()
        error = await told(path)
        assert "another program" in error.message
        assert path.read_bytes() == before

    async def test_a_file_cut_short_is_told(self, path):
        await make(path)
        path.write_bytes(path.read_bytes()[:5000])
        assert str(path) in (await told(path)).message

    async def test_an_empty_file_is_a_new_database(self, path):
        path.parent.mkdir()
        path.touch()
        await make(path)


class TestDamage:
    async def test_a_page_overwritten_is_told_by_whoever_reads_it(self, path):
        await make(path)
        async with open_database(path) as database:
            await database.write(
                lambda session: [session.execute("INSERT INTO things VALUES (?)", ("x" * 500,)) for _ in range(1000)]
            )
        data = bytearray(path.read_bytes())
        data[len(data) // 2 :] = b"\xa5" * (len(data) - len(data) // 2)
        path.write_bytes(data)
        async with open_database(path) as database:
            with pytest.raises(CaxtonError) as caught:
                await database.scan(lambda session: session.execute("SELECT sum(length(name)) FROM things"))
        assert caught.value.code is Code.STORAGE_FAILED
        assert caught.value.why == "The file is damaged."
        assert "caxton server rescue" in caught.value.hint

    async def test_a_full_disk_refuses_writes_and_nothing_else_and_heals(self, disk, path):
        await make(path)
        async with open_database(path) as database:
            disk.full = True
            with pytest.raises(CaxtonError) as caught:
                await put(database, "lost")
            assert caught.value.why == "The disk is full."
            assert database.read(things) == ["kept"]
            disk.full = False
            await put(database, "later")
            assert database.read(things) == ["kept", "later"]

    @pytest.mark.parametrize("trouble", ["broken", "unsafe"])
    async def test_a_failing_disk_acknowledges_nothing(self, disk, path, trouble):
        await make(path)
        async with open_database(path) as database:
            setattr(disk, trouble, True)
            with pytest.raises(CaxtonError) as caught:
                await put(database, "lost")
            assert caught.value.why == "The disk failed."
            setattr(disk, trouble, False)
            await put(database, "later")
        async with open_database(path) as database:
            assert "later" in database.read(things)


class TestClosing:
    async def test_what_was_given_before_the_end_is_written(self, path):
        await make(path)
        async with open_database(path) as database:
            writes = [asyncio.ensure_future(put(database, str(number))) for number in range(50)]
            await asyncio.sleep(0)
        await asyncio.gather(*writes)
        async with open_database(path) as database:
            assert database.read(things) == ["kept", *map(str, range(50))]

    async def test_whoever_comes_after_the_end_is_told_that_it_is_closed(self, path):
        await make(path)
        async with open_database(path) as database:
            pass
        for late in (put(database, "late"), database.scan(things), asyncio.to_thread(database.read, things)):
            with pytest.raises(CaxtonError) as caught:
                await late
            assert caught.value.code is Code.STORAGE_FAILED
            assert "is closed" in caught.value.message

    async def test_a_scan_under_way_is_waited_for(self, path):
        await make(path)
        begun, go_on = threading.Event(), threading.Event()

        def slowly(session):
            begun.set()
            assert go_on.wait(DEADLINE)
            return things(session)

        async with open_database(path) as database:
            scanning = asyncio.ensure_future(database.scan(slowly))
            assert await asyncio.to_thread(begun.wait, DEADLINE)
            threading.Timer(0.01, go_on.set).start()
        assert await scanning == ["kept"]

    async def test_no_log_is_left_behind(self, path):
        await make(path)
        assert sorted(file.name for file in path.parent.iterdir()) == ["caxton.db", "caxton.lock"]


KILLED = """
import asyncio, sys
from pathlib import Path
from caxton.storage.database import open_database

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        async def put(number):
            await database.write(lambda session: session.execute("INSERT INTO things VALUES (?)", (str(number),)))
            print(number, flush=True)
        for begin in range(0, 1_000_000, 20):
            await asyncio.gather(*(put(number) for number in range(begin, begin + 20)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(path):
    await make(path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(path), stdout=asyncio.subprocess.PIPE
    )
    acknowledged = []
    async with asyncio.timeout(30):
        while len(acknowledged) < 300:
            acknowledged.append((await process.stdout.readline()).decode().strip())
    process.kill()
    rest, _ = await process.communicate()
    acknowledged += rest.decode().splitlines()[:-1]  # the last line may be half a number
    async with open_database(path) as database:
        assert set(acknowledged) <= set(database.read(things))
        assert database.read(lambda session: session.execute("PRAGMA integrity_check")) == [("ok",)]


async def test_another_program_may_read_beside_us(path):
    await make(path)
    async with open_database(path) as database:
        other = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            assert other.execute("SELECT name FROM things").fetchall() == [("kept",)]
            await put(database, "more")
            assert len(other.execute("SELECT name FROM things").fetchall()) == 2
        finally:
            other.close()


async def test_a_reader_that_stands_in_the_way_of_a_scrub_is_told_and_nothing_else_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("caxton.storage.database.BUSY", 20)
    path = tmp_path / "caxton.db"
    async with open_database(path) as database:
        with closing(apsw.Connection(str(path))) as other:
            other.execute("BEGIN").execute("SELECT * FROM migrations").fetchall()
            await database.write(lambda session: session.execute("CREATE TABLE things (name TEXT)"))
            with pytest.raises(CaxtonError) as raised:
                await database.scrub()
            assert raised.value.code is Code.STORAGE_FAILED
            await database.write(lambda session: session.execute("INSERT INTO things VALUES ('a')"))
        await database.scrub()
        assert database.read(lambda session: session.execute("SELECT name FROM things")) == [("a",)]
