"""The PID file: which server holds a data directory, for whoever wants to reach or stop it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec

from caxton.domain.errors import CaxtonError, Code

PROC = Path("/proc")
"""Linux's processes as files, far quicker to ask than through psutil."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A running server. `started_at` is in seconds since the epoch; `birth` tells its process from a later one."""

    pid: Annotated[int, msgspec.Meta(ge=1)]
    url: str
    version: str
    started_at: float
    data_dir: str
    birth: str = ""


def read(path: Path) -> Instance | None:
    """The server that the file speaks of, while its process lives; None for a missing, damaged or stale file."""
    try:
        instance = msgspec.json.decode(path.read_bytes(), type=Instance)
    except (OSError, msgspec.MsgspecError):
        return None
    return instance if birth_of(instance.pid) == instance.birth and instance.birth else None


@contextmanager
def hold(path: Path, instance: Instance) -> Iterator[None]:
    """Be the server of that file for the block. CaxtonError `server_running` while another is.

    The file appears whole or not at all, and is removed at the end unless it speaks of another by then.
    """
    mine = msgspec.structs.replace(instance, birth=birth_of(instance.pid))
    temporary = path.with_name(f"{path.name}.{instance.pid}")
    try:
        with _alone(path):
            if other := read(path):
                raise already_running(other)
            temporary.write_bytes(msgspec.json.encode(mine))
            temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The data directory {str(path.parent)!r} cannot be written.",
            why=str(error),
            hint="Check its permissions, or choose another: `--data-dir`, CAXTON_DATA_DIR.",
        ) from error
    try:
        yield
    finally:
        if read(path) == mine:
            path.unlink(missing_ok=True)


def already_running(other: Instance) -> CaxtonError:
    """The error of whoever wants to start a server where that one runs."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(other.started_at))
    return CaxtonError(
        Code.SERVER_RUNNING,
        f"A server runs already: process {other.pid} at {other.url}, since {since}, data in {other.data_dir}.",
    )


def birth_of(pid: int) -> str:
    """When a process began, in the system's own terms; empty where there is no such process.

    A PID is used again by the system, but not with the same beginning.
    """
    if (PROC / "self" / "stat").is_file():
        try:
            # The state and the start time (fields 3 and 22 of proc_pid_stat(5)) follow the parenthesised name, which
            # is whatever the process calls itself, and in no encoding.
            state, *fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return ""
        return "" if state in (b"Z", b"X") else f"{fields[18].decode()}@{_boot()}"
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return ""


def _boot() -> str:
    """Which start of the system this is: Linux counts a process's beginning from there, and PIDs begin anew."""
    try:
        return (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return ""  # not every container shows it


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of all who want to take `path`, be the only one for the block: two that start at once must not both see nobody.

    Without effect where files know no locks (some network file systems); the database's own lock is left there.
    """
    handle = _open_lock(path)
    try:
        with suppress(OSError):
            _lock(handle)
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _open_lock(path: Path) -> int:
        return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_TEMPORARY)

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _open_lock(path: Path) -> int:
        return os.open(path.parent, os.O_RDONLY)

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
