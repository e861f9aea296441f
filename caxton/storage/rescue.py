"""What can be read of a damaged database, put into a sound one.

SQLite stops at the first damaged page of a table. Here each table is gone through row by row, past such pages, into a
database that is made anew; what can be derived from other tables is derived again by whoever owns those.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.database import Session
from caxton.storage.database import ApswSession
from caxton.storage.failures import explained
from caxton.storage.lock import locked
from caxton.storage.migrate import migrate

PROBES = 100_000
"""Row ids tried one after another behind a damaged page; a page holds far fewer rows."""
OURS = {"migrations"}
"""Tables that the new database has of itself."""


def rescue(path: Path, *, derived: frozenset[str], derive: Callable[[Session], None]) -> dict[str, int]:
    """Put a sound database in the place of the one at `path`; how many rows of each table it has.

    The damaged one stays beside it, its name ending in `.damaged.db`. `derived` are tables not to be copied, and
    `derive` makes them, and whatever counts and refers to rows, agree with what was copied. CaxtonError
    `storage_failed` where a server runs, where nothing can be read, or where an earlier damaged file is in the way.
    """
    damaged, sound = path.with_suffix(".damaged.db"), path.with_suffix(".rescued.db")
    if not path.exists():
        raise CaxtonError(Code.STORAGE_FAILED, f"There is no database {str(path)!r}.", hint="Name its `--data-dir`.")
    if damaged.exists():
        raise CaxtonError(Code.STORAGE_FAILED, f"{str(damaged)!r} is there already.", hint="Move it away.")
    with locked(path.with_suffix(".lock")):
        sound.unlink(missing_ok=True)
        with explained(path), closing(apsw.Connection(str(sound))) as new:
            migrate(new, sound)
            with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as old, new:
                counts = {table: _copy(old, new, table) for table in _tables(new) if table not in OURS | derived}
                derive(ApswSession(new))
        for ending in ("", "-wal", "-shm"):
            if (part := path.with_name(path.name + ending)).exists():
                part.replace(damaged.with_name(damaged.name + ending))
        sound.replace(path)
    return counts


def _tables(connection: apsw.Connection) -> list[str]:
    """The ordinary tables: no virtual ones, nor what those keep their data in."""
    rows = connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
    return sorted(name for name, kind in rows if kind == "table" and not name.startswith("sqlite_"))


def _copy(old: apsw.Connection, new: apsw.Connection, table: str) -> int:
    columns = _columns(new, table, " WHERE hidden = 0")
    there = _columns(old, table, "")
    shared = [column for column in columns if column in there]
    if not shared:
        return 0
    names, marks = ", ".join(f'"{column}"' for column in shared), ", ".join("?" * len(shared))
    add = f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - names of our own schema
    for row in _rows(old, table, names):
        try:
            new.execute(add, row)
        except apsw.ConstraintError:
            continue  # what the damage left in it is not what the column holds
    ((count,),) = new.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608
    return int(count)


def _columns(connection: apsw.Connection, table: str, where: str) -> list[str]:
    return [name for (name,) in connection.execute(f"SELECT name FROM pragma_table_xinfo(?){where}", (table,))]  # noqa: S608


def _rows(old: apsw.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    """Every row that can be read, some of them maybe twice."""
    try:
        # A table without row ids is read from both of its ends.
        old.execute(f'SELECT rowid FROM "{table}" LIMIT 1').fetchall()  # noqa: S608
    except apsw.SQLError:
        for order in ("ASC", "DESC"):
            try:
                yield from old.execute(f'SELECT {names} FROM "{table}" ORDER BY {_key(old, table, order)}')  # noqa: S608
            except apsw.CorruptError:
                continue
        return
    except apsw.CorruptError:
        pass
    after = failed = 0
    sql = f'SELECT rowid, {names} FROM "{table}" NOT INDEXED WHERE rowid > ? ORDER BY rowid'  # noqa: S608
    while failed < PROBES:
        try:
            for rowid, *row in old.execute(sql, (after,)):
                yield tuple(row)
                after, failed = rowid, 0
            return
        except apsw.CorruptError:
            after, failed = after + 1, failed + 1


def _key(old: apsw.Connection, table: str, order: str) -> str:
    rows = old.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    return ", ".join(f'"{name}" {order}' for (name,) in rows)
