"""The schema's history: numbered SQL files, applied in order, never changed once published."""

import hashlib
from importlib import resources
from pathlib import Path

import apsw

from caxton.domain.errors import CaxtonError, Code


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and SQL of each migration, in order."""
    folder = resources.files("caxton.storage") / "migrations"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, (folder / name).read_text(encoding="utf-8")) for name in found]


def migrate(connection: apsw.Connection, path: Path) -> int:
    """Bring the schema up to date, each migration in a transaction of its own; how many were applied.

    CaxtonError `storage_failed`, with nothing changed, where the file was made by a newer Caxton or by another
    program, or where a migration differs from the one that was applied.
    """
    known = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone() or (0,)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if (tables or version) and "migrations" not in tables:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The database {str(path)!r} belongs to another program.",
            why="It lacks the table in which Caxton notes how it made the others.",
            hint="Choose another data directory; the file was left as it is.",
        )
    if version > known[-1][0]:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The database {str(path)!r} has schema version {version}; this Caxton knows up to {known[-1][0]}.",
            why="A newer Caxton wrote it.",
            hint="Use that version, or another data directory; the file was left as it is.",
        )
    _check_applied(connection, path, version, known)
    pending = [migration for migration in known if migration[0] > version]
    for number, name, sql in pending:
        with connection:
            connection.execute(sql).fetchall()  # to the end: rows wait to be taken before the next statement runs
            connection.execute(
                "INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)", (number, name, _checksum(sql))
            )
            connection.pragma("user_version", number)
    return len(pending)


def _check_applied(connection: apsw.Connection, path: Path, version: int, known: list[tuple[int, str, str]]) -> None:
    if not version:
        return
    applied = dict(connection.execute("SELECT number, checksum FROM migrations"))
    for number, name, sql in known[:version]:
        if applied.get(number) != _checksum(sql):
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"Migration {name} is not the one that made the database {str(path)!r}.",
                why="Published migrations are never changed; this one was, here or there.",
                hint="Use the Caxton that wrote the database, or another data directory.",
            )


def _checksum(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
