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
        "Stop the server; `caxton server rescue` saves what can be read, and keeps the damaged file.",
    ),
    (
        apsw.NotADBError,
        "The file is not a Caxton database.",
        "Move it away, or choose another data directory; it was left as it is.",
    ),
    (apsw.ReadOnlyError, "The file cannot be written.", "Check the permissions of the data directory."),
    (apsw.CantOpenError, "The file cannot be opened.", "Check the path and permissions of the data directory."),
    (apsw.BusyError, "Another process holds the database.", "Find out which, and let it finish or stop it."),
    (apsw.LockedError, "Another use of the database holds the table.", "Try again."),
    (apsw.TooBigError, "The text is longer than SQLite can hold.", "Send less."),
    (apsw.IOError, "The disk failed.", "Check the disk and the system's log."),
)


def storage_error(path: Path, error: BaseException) -> CaxtonError:
    """The `storage_failed` that an error of SQLite becomes, with that as its cause."""
    unknown = (f"{type(error).__name__}, which Caxton did not expect here.", "")
    why, hint = next(((why, hint) for kind, why, hint in EXPLAINED if isinstance(error, kind)), unknown)
    failure = CaxtonError(Code.STORAGE_FAILED, f"The database {str(path)!r} failed: {error}", why=why, hint=hint)
    failure.__cause__ = error
    return failure


def storage_closed(path: Path) -> CaxtonError:
    """What whoever comes too late is told."""
    return CaxtonError(Code.STORAGE_FAILED, f"The database {str(path)!r} is closed.", why="The server is stopping.")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors within the block, as CaxtonErrors."""
    try:
        yield
    except apsw.ConnectionClosedError as error:
        raise storage_closed(path) from error
    except apsw.Error as error:
        raise storage_error(path, error) from error
