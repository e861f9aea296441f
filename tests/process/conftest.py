"""Servers as processes: real ones, that do nothing but be there."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def idle() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that runs `code`, says "up", and waits until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str = "pass") -> subprocess.Popen[str]:
        program = f"import sys\n{code}\nprint('up', flush=True)\nsys.stdin.read()\n"
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        with process:
            process.kill()
