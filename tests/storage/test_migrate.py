from contextlib import closing

import apsw
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.storage import migrate as module
from caxton.storage.migrate import migrate, migrations

FIRST = (
    1,
    "0001_first.sql",
    "CREATE TABLE migrations (number INTEGER, name TEXT, checksum TEXT);\nCREATE TABLE a (x);",
)
SECOND = (2, "0002_second.sql", "CREATE TABLE b (x);\nINSERT INTO b VALUES (1); SELECT * FROM b;")
BROKEN = (3, "0003_broken.sql", "CREATE TABLE c (x);\nINSERT INTO nowhere VALUES (1);")


@pytest.fixture
def database():
    with closing(apsw.Connection(":memory:")) as connection:
        yield connection


@pytest.fixture
def known(monkeypatch):
    """Have these migrations be the published ones."""
    return lambda *migrations: monkeypatch.setattr(module, "migrations", lambda: [*migrations])


def tables(database):
    return sorted(name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"))


def version(database):
    return database.pragma("user_version")


def refused(database, tmp_path):
    """Why migrating was refused; nothing has changed by it."""
    before = database.execute("SELECT * FROM sqlite_schema").fetchall(), version(database)
    with pytest.raises(CaxtonError) as caught:
        migrate(database, tmp_path / "caxton.db")
    assert caught.value.code is Code.STORAGE_FAILED
    assert "caxton.db" in caught.value.message
    assert (database.execute("SELECT * FROM sqlite_schema").fetchall(), version(database)) == before
    return caught.value


def test_the_published_ones_are_numbered_without_a_gap():
    found = migrations()
    assert [number for number, _, _ in found] == list(range(1, len(found) + 1))
    assert all(name.startswith(f"{number:04}_") for number, name, _ in found)


def test_the_published_ones_make_a_database_and_change_nothing_the_second_time(database, tmp_path):
    assert migrate(database, tmp_path) == len(migrations())
    made = tables(database)
    assert {"agents", "messages", "conversations", "lifecycle_events", "migrations"} <= set(made)
    assert migrate(database, tmp_path) == 0
    assert tables(database) == made
    assert version(database) == len(migrations())


def test_each_is_noted(database, tmp_path, known):
    known(FIRST, SECOND)
    assert migrate(database, tmp_path) == 2
    assert database.execute("SELECT number, name, length(checksum) FROM migrations").fetchall() == [
        (1, "0001_first.sql", 64),
        (2, "0002_second.sql", 64),
    ]
    assert version(database) == 2


def test_an_older_database_gets_what_it_lacks(database, tmp_path, known):
    known(FIRST)
    migrate(database, tmp_path)
    known(FIRST, SECOND)
    assert migrate(database, tmp_path) == 1
    assert tables(database) == ["a", "b", "migrations"]


def test_one_that_fails_is_undone_and_those_before_it_stay(database, tmp_path, known):
    known(FIRST, SECOND, BROKEN)
    with pytest.raises(apsw.SQLError):
        migrate(database, tmp_path)
    assert tables(database) == ["a", "b", "migrations"]
    assert version(database) == 2


def test_a_newer_database_is_refused(database, tmp_path, known):
    known(FIRST, SECOND)
    migrate(database, tmp_path)
    known(FIRST)
    error = refused(database, tmp_path)
    assert "version 2" in error.message
    assert "newer Caxton" in error.why


def test_one_that_was_changed_since_is_refused(database, tmp_path, known):
    known(FIRST)
    migrate(database, tmp_path)
    known((1, FIRST[1], FIRST[2] + "\n-- mended"), SECOND)
    assert "0001_first.sql" in refused(database, tmp_path).message


@pytest.mark.parametrize("theirs", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 7"])
def test_another_programs_database_is_refused(database, tmp_path, theirs):
    database.execute(theirs)
    assert "another program" in refused(database, tmp_path).message
