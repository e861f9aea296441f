"""Starting a server in the background, and stopping one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from caxton.domain.errors import CaxtonError, Code
from caxton.process.pidfile import Instance, birth_of, read

INTERVAL = 0.02
"""Seconds between two looks at a process or a file."""
TO_DIE = 10.0
"""Seconds that the system may take to end a process it was told to kill."""
LAST_WORDS = re.compile(r"error\[(\w+)\]: ")
"""How a server that gives up, and each diagnostic of a file, begins."""


class _Log(NamedTuple):
    """A log file and where in it the process began."""

    path: Path
    begin: int

    def said(self) -> str:
        """The end of what the process wrote."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            return file.read().decode(errors="replace").strip()[-2000:]


def start(
    command: Sequence[str], *, log_file: Path, pid_file: Path, ready: Callable[[Instance], bool], timeout: float
) -> Instance:
    """Start a server apart from this process and its terminal, and wait until it is `ready`.

    Its output goes to `log_file`. CaxtonError of its own words and code where it ends instead, `server_unreachable`
    where it is not ready within `timeout` seconds. A start that fails or is interrupted leaves no process behind.
    """
    try:
        # What is said to agents is kept there, and nobody else's business.
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.fdopen(os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise CaxtonError(
            Code.STORAGE_FAILED,
            f"The log file {str(log_file)!r} cannot be written.",
            why=str(error),
            hint="Choose another data directory: `--data-dir`, CAXTON_DATA_DIR or `data_dir` in `[server]`.",
        ) from error
    with log:
        begin = log.tell()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, **_detached()
        )
    try:
        return _once_ready(process, pid_file, ready, timeout, _Log(log_file, begin))
    except BaseException:
        process.kill()
        process.wait()
        raise


def _once_ready(
    process: subprocess.Popen[bytes],
    pid_file: Path,
    ready: Callable[[Instance], bool],
    timeout: float,
    log: _Log,
) -> Instance:
    hint = f"Its log is {log.path}."
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = log.said()
            message = f"The server ended with status {process.returncode} while starting."
            raise CaxtonError(_code_of(words), message, why=words, hint=hint)
        if (instance := read(pid_file)) and _belongs(instance, process) and ready(instance):
            return instance
        time.sleep(INTERVAL)
    message = f"The server was not ready within {timeout:g} s."
    raise CaxtonError(Code.SERVER_UNREACHABLE, message, why=log.said(), hint=hint)


def stop(instance: Instance, *, timeout: float, force: bool = False) -> bool:
    """Ask a server to finish and end; whether it did within `timeout` seconds. With `force` it is killed then.

    One that has ended already has nothing to be asked, whoever has its PID by now.
    """
    _signal(instance, signal.SIGTERM)
    if _gone(instance, timeout):
        return True
    if force:
        _signal(instance, getattr(signal, "SIGKILL", signal.SIGTERM))
        return _gone(instance, TO_DIE)
    return False


def _gone(instance: Instance, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while birth_of(instance.pid) == instance.birth:
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True


def _signal(instance: Instance, number: int) -> None:
    if birth_of(instance.pid) != instance.birth:
        return
    try:
        os.kill(instance.pid, number)
    except OSError as error:
        if birth_of(instance.pid) != instance.birth:
            return  # it ended by itself in this very moment
        raise CaxtonError(
            Code.SERVER_RUNNING,
            f"Server {instance.pid} cannot be stopped from here.",
            why=str(error),
            hint="Stop it as the user who started it.",
        ) from error


def _belongs(instance: Instance, process: subprocess.Popen[bytes]) -> bool:
    """Whether that server is what we started, or its child: a virtual environment's Python on Windows is a launcher."""
    if instance.pid == process.pid:
        return True
    import psutil

    try:
        return psutil.Process(instance.pid).ppid() == process.pid
    except psutil.Error:
        return False


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    else:  # noqa: RET505 - to mypy, what follows a test of the platform exists on one of them only
        return {"start_new_session": True}


def _code_of(said: str) -> Code:
    """The code of the error that a server told last; a code that is a diagnostic's speaks of a configuration file."""
    match LAST_WORDS.findall(said):
        case [*_, code]:
            return Code(code) if code in set(Code) else Code.CONFIGURATION_INVALID
        case _:
            return Code.SERVER_UNREACHABLE
