"""A real Caxton for tests: the command in an environment of its own, with data directory and port."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE = 60.0
SCRIPTED = """
[server]
default_provider = "scripted"

[providers.scripted]
kind = "scripted"
"""


class Cli:
    """The `caxton` command, in an environment of its own."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{port}"
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("CAXTON_", "OPENAI_"))}
        self.environ = {**clean, "CAXTON_DATA_DIR": str(directory / "data"), "CAXTON_PORT": str(port)}

    @property
    def agents(self) -> Path:
        return self.directory / "data" / "agents"

    def __call__(self, *arguments: str, stdin: str = "", fails: int = 0) -> str:
        """Run one command; what it printed. `fails` is the exit status it is expected to end with."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == fails, f"caxton {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout if not fails else done.stdout + done.stderr

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "caxton", *arguments],
            cwd=self.directory,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--output", "json"))

    def http(
        self, method: str, path: str, body: str | bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """One request as `curl -d` makes it, with the content type curl would give; status, headers, decoded body."""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310
                status, got, raw = answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, got, raw = error.code, dict(error.headers), error.read()
        is_json = "json" in got.get("content-type", "")
        return status, got, json.loads(raw) if is_json else raw.decode()

    def say(self, agent: str, text: str, **fields: str) -> dict[str, Any]:
        """The reply to one message, by HTTP."""
        status, _, reply = self.http("POST", f"/agents/{agent}/message", json.dumps({"text": text, **fields}))
        assert status == 200, reply
        return reply

    def pid(self) -> int:
        return json.loads((self.directory / "data" / "server.pid").read_text())["pid"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(happened: Callable[[], Any], what: str, deadline: float = 15.0) -> Any:
    """What `happened` returns as soon as that is true."""
    end = time.monotonic() + deadline
    while True:
        if value := happened():
            return value
        assert time.monotonic() < end, f"{what} did not happen within {deadline:g} s"
        time.sleep(0.02)
