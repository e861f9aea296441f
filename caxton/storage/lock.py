"""The lock that keeps two servers off one database. The system lets go of it when the process dies, however it dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caxton.domain.errors import CaxtonError, Code


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block; CaxtonError `storage_failed` where another process does, or none can.

    The file itself stays: removing it would let two processes lock two files of one name.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The data directory {str(path.parent)!r} cannot be written.",
            why=str(error),
            hint="Check its permissions, or choose another: `--data-dir`, CAXTON_DATA_DIR.",
        ) from error
    try:
        try:
            _lock(handle)
        except (BlockingIOError, PermissionError) as error:
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"Another Caxton server uses the data directory {str(path.parent)!r}.",
                why=f"{path.name} is locked: {error}",
                hint="Stop it with `caxton server stop`, or give this one a data directory of its own.",
            ) from error
        except OSError as error:
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"The data directory {str(path.parent)!r} cannot be locked.",
                why=f"{path.name}: {error}",
                hint="Choose one on a local disk: `--data-dir`, CAXTON_DATA_DIR.",
            ) from error
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
