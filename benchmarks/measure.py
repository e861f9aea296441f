"""Runs, medians and ratios, and the servers that are measured."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SCRIPTED = """
[server]
default_provider = "scripted"

[providers.scripted]
kind = "scripted"
"""


def wall(command: Sequence[str], **environ: str) -> float:
    """Seconds that one run of a command takes, output thrown away."""
    began = time.perf_counter()
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environ}, check=False
    )
    return time.perf_counter() - began


def paired(one: Callable[[], float], other: Callable[[], float], runs: int) -> tuple[float, float, float]:
    """Medians of two measurements taken in turn, and of their ratio pair by pair, after one warm-up of each."""
    one(), other()
    pairs = [(one(), other()) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(command: Sequence[str], url: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server process and the seconds until `url` answered 200; stopped at the end."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environ}
    ) as running:
        try:
            while True:
                try:
                    with urllib.request.urlopen(url, timeout=5):
                        break
                except (urllib.error.URLError, OSError):
                    if running.poll() is not None:
                        raise RuntimeError(f"{command} ended with {running.returncode}") from None
                    time.sleep(0.002)
            yield running, time.perf_counter() - began
        finally:
            running.terminate()


@contextmanager
def caxton(settings: str = SCRIPTED, agents: dict[str, str] | None = None) -> Iterator[tuple[str, Path, int, float]]:
    """A Caxton of its own: URL, data directory, PID, seconds until ready."""
    with tempfile.TemporaryDirectory() as folder:
        data, port = Path(folder), free_port()
        (data / "caxton.toml").write_text(settings)
        (data / "agents").mkdir()
        for name, text in (agents or {}).items():
            (data / "agents" / f"{name}.toml").write_text(text)
        url = f"http://127.0.0.1:{port}"
        file = str(data / "caxton.toml")
        command = [sys.executable, "-m", "caxton.server", "--config", file, "--data-dir", folder, "--port", str(port)]
        with process(command, f"{url}/ready") as (running, seconds):
            yield url, data, running.pid, seconds
