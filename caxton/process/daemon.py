"""Starting a server in the background, and stopping one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from caxton.domain.errors import CaxtonError, Code
from caxton.process.pidfile import Instance, birth_of, read

INTERVAL = 0.02
"""Seconds between two looks at a process or a file."""


def start(
    command: Sequence[str], *, log_file: Path, pid_file: Path, ready: Callable[[Instance], bool], timeout: float
) -> Instance:
    """Start a server apart from this process and its terminal, and wait until it is `ready`.

    Its output goes to `log_file`. CaxtonError of its own words where it ends instead, `server_unreachable` where it is
    not ready within `timeout` seconds; then it is stopped.
    """
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log = log_file.open("ab")
    except OSError as error:
        raise CaxtonError(
            Code.STORAGE_FAILED, f"The log file {str(log_file)!r} cannot be written.", why=str(error)
        ) from error
    with log:
        begin = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, **_detached()
        )
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CaxtonError(
                Code.SERVER_UNREACHABLE,
                f"The server ended with status {process.returncode} while starting.",
                why=_said(log_file, begin),
                hint=f"Its log is {log_file}.",
            )
        if (instance := read(pid_file)) and instance.pid == process.pid and ready(instance):
            return instance
        time.sleep(INTERVAL)
    process.kill()
    process.wait()
    raise CaxtonError(
        Code.SERVER_UNREACHABLE,
        f"The server was not ready within {timeout:g} s.",
        why=_said(log_file, begin),
        hint=f"Its log is {log_file}.",
    )


def stop(instance: Instance, *, timeout: float, force: bool = False) -> bool:
    """Ask a server to finish and end; whether it did within `timeout` seconds. With `force` it is killed then."""
    _signal(instance.pid, signal.SIGTERM)
    if _gone(instance, timeout):
        return True
    if force:
        _signal(instance.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        return _gone(instance, timeout)
    return False


def _gone(instance: Instance, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while birth_of(instance.pid) == instance.birth:
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself in this very moment
    except PermissionError as error:
        raise CaxtonError(Code.SERVER_RUNNING, f"Process {pid} belongs to another user.", why=str(error)) from error


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _said(log_file: Path, begin: int) -> str:
    """The end of what the process wrote since it began."""
    with log_file.open("rb") as log:
        log.seek(begin)
        return log.read().decode(errors="replace").strip()[-2000:]
