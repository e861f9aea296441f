"""Other people's message buses, measured beside ours.

They live in a virtual environment of their own, `.peers`, made by `make bench-peers`: what they ask for is not to mix
with what we do. Each is a script here, `with_NAME.py`, that is run as a process of its own, says the version of what it
measures and its figures in one line of JSON, and imports nothing of Caxton.
"""

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".peers"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ABSENT = 3
"""What a script ends with where what it measures is not installed; its last line of output says what is missing."""
DEADLINE = 300
"""Seconds that a peer gets for one measurement."""

Figures = dict[str, float]


def measured(script: str, *arguments: object) -> tuple[str, Figures] | None:
    """The version and the figures of one run of `with_SCRIPT.py`; None where it is not there, which is printed."""
    if not PYTHON.exists():
        print(f"{script}: not installed (make bench-peers)")
        return None
    command = [str(PYTHON), str(HERE / f"with_{script}.py"), *map(str, arguments)]
    # A session of its own, so that what it started ends with it, and what it says goes to files: who reads a pipe waits
    # for all that hold it.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        running = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
        try:
            code = running.wait(DEADLINE)
        finally:
            _end(running)
        out.seek(0)
        err.seek(0)
        said, complaints = out.read().strip(), err.read().strip()
    last = said.splitlines()[-1] if said else ""
    if code == ABSENT:
        print(f"{script}: not installed ({last})")
        return None
    if code or not last:
        raise RuntimeError(f"{' '.join(command)} ended with {code}: {complaints[-500:]}")
    figures = json.loads(last)
    return figures.pop("version"), figures


def _end(running: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    running.kill()
    running.wait()
