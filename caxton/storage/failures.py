"""What SQLite says when it cannot, in the product's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from caxton.domain.errors import CaxtonError, Code

EXPLAINED: tuple[tuple[type[apsw.Error], str, str], ...] = (
    (apsw.FullError, "The disk is full.", "Free some space; nothing that was stored before is lost."),
    (
        apsw.CorruptError,
        "The file is damaged.",
        "Stop the server and keep a copy of the file; `sqlite3 caxton.db .recover` saves what can be read.",
    ),
    (
        apsw.NotADBError,
        "The file is not a Caxton database.",
        "Move it away, or choose another data directory; it was left as it is.",
    ),
    (apsw.ReadOnlyError, "The file cannot be written.", "Check the permissions of the data directory."),
    (apsw.CantOpenError, "The file cannot be opened.", "Check the path and permissions of the data directory."),
    (apsw.BusyError, "Another process holds the database.", "Find out which, and let it finish or stop it."),
    (apsw.IOError, "The disk failed.", "Check the disk and the system's log."),
)


def storage_error(path: Path, error: apsw.Error) -> CaxtonError:
    """The `storage_failed` that an SQLite error becomes."""
    why, hint = next(((why, hint) for kind, why, hint in EXPLAINED if isinstance(error, kind)), ("", ""))
    detail = f"The database {str(path)!r} failed: {error}"
    return CaxtonError(Code.STORAGE_FAILED, detail, why=why, hint=hint)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors within the block, as CaxtonErrors."""
    try:
        yield
    except apsw.Error as error:
        raise storage_error(path, error) from error
