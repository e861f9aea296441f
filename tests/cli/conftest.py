"""The command in this process, with a real server beside it whose model echoes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.server import SCRIPTED, until

from caxton.cli.client import Client
from caxton.cli.main import main
from caxton.cli.session import Session
from caxton.domain.errors import CaxtonError
from caxton.server.run import listening, serve
from caxton.server.stopping import Stop
from caxton.service.api.server import READY
from caxton.wiring import load_server_settings, open_caxton

AGENT = 'name = "{name}"\nsystem_prompt = "You echo."\ndescription = "Echoes"\n'
RULES = """
[[rules]]
match = "^busy"
error = "provider_refused"
"""


class Main:
    """`main` as click's runner calls a command: errors and exit statuses are part of what is tested."""

    name = "caxton"

    def main(self, args: Sequence[str], prog_name: str, **extra: Any) -> None:
        sys.exit(main(list(args)))


class Caxton:
    """Runs the command with an environment of its own."""

    def __init__(self, environ: dict[str, str | None]) -> None:
        self.environ = environ

    def __call__(self, *arguments: str, stdin: str | bytes = "", fails: int = 0, color: bool = False) -> Result:
        """Run it; `fails` is the exit status it is expected to end with."""
        result = CliRunner().invoke(Main(), arguments, input=stdin, env=self.environ, color=color)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == fails, f"caxton {' '.join(arguments)}: {result.exit_code}\n{result.output}"
        return result

    def out(self, *arguments: str, **keywords: Any) -> str:
        """What it wrote to standard output."""
        return self(*arguments, **keywords).stdout

    def err(self, *arguments: str, fails: int, **keywords: Any) -> str:
        """What it wrote to standard error, and nothing else anywhere."""
        result = self(*arguments, fails=fails, **keywords)
        assert result.stdout == ""
        return result.stderr

    def json(self, *arguments: str) -> Any:
        """What it answers programs."""
        result = self(*arguments, "--output", "json")
        assert result.stderr == ""
        return json.loads(result.stdout)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server with a model that echoes; for all tests, each of which has agents of its own."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "rules.toml").write_text(RULES)
    (folder / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    flags = {"data_dir": str(folder / "data"), "port": "0", "config": str(folder / "caxton.toml")}
    settings = load_server_settings(flags=flags | {"port": str(_free_port())}, environ={}, cwd=folder)
    settings.data_dir.mkdir()
    stop = Stop()
    with listening(settings) as listener:
        thread = threading.Thread(
            target=lambda: asyncio.run(serve(settings, listener, stop=stop, open_caxton=open_caxton))
        )
        thread.start()
        url = f"http://127.0.0.1:{settings.port}"

        def ready() -> bool:
            try:
                return bool(Client(url, timeout=5).call(READY).ready)
            except CaxtonError:
                return False

        until(lambda: ready() or not thread.is_alive(), "the server")
        assert thread.is_alive(), "the server did not start"
        yield url
        stop.asked = True
        thread.join(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caxton:
    """The command in a folder and with a data directory of its own, where no server runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("CAXTON_OUTPUT", "CAXTON_CONFIG", "CAXTON_HOST", "NO_COLOR", "CAXTON_URL"):
        monkeypatch.delenv(name, raising=False)
    return Caxton({"CAXTON_DATA_DIR": str(tmp_path / "data"), "CAXTON_PORT": str(_free_port())})


@pytest.fixture
def caxton(apart: Caxton, house: str) -> Caxton:
    """The command, speaking to the house."""
    return Caxton({**apart.environ, "CAXTON_URL": house})


@pytest.fixture
def agent(caxton: Caxton, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An agent of this test alone, by its name."""
    name = f"a{abs(hash(request.node.nodeid)):x}"
    (tmp_path / f"{name}.toml").write_text(AGENT.format(name=name))
    caxton("create", "--config", f"{name}.toml", "--replace")
    return name


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sits at both ends."""
    monkeypatch.setattr(Session, "interactive", True)


class Raw:
    """A server that answers each request with bytes that a test gives, piece by piece; a piece may be a function."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.pieces: list[bytes | Callable[[], object]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answers(self, status: int, body: bytes, kind: str = "application/json") -> None:
        head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.pieces = [head.encode() + body]

    def streams(self, *pieces: bytes | Callable[[], object]) -> None:
        """An event stream that ends with the connection."""
        self.pieces = [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", *pieces]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                head = b"".join(iter(file.readline, b"\r\n"))
                length = next((int(x.split(b":")[1]) for x in head.lower().splitlines() if b"content-length" in x), 0)
                self.requests.append(head + b"\r\n" + file.read(length))
                for piece in self.pieces:
                    if isinstance(piece, bytes):
                        connection.sendall(piece)
                    else:
                        piece()


@pytest.fixture
def raw(apart: Caxton) -> Iterator[Raw]:
    """A server of bytes, which `apart` speaks to from here on."""
    server = Raw()
    apart.environ["CAXTON_URL"] = server.url
    yield server
    server.close()


@pytest.fixture
def interrupt() -> Callable[[], None]:
    """Ctrl-C, as the system does it."""
    if not hasattr(signal, "pthread_kill"):
        pytest.skip("no signal reaches a thread that waits, on Windows")
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    return lambda: signal.pthread_kill(main_thread, signal.SIGINT)


@pytest.fixture
def complete(caxton: Caxton, tmp_path: Path) -> Callable[..., list[str]]:
    """What the command offers a shell for the last of some words."""

    def completed(*words: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "caxton"],
            cwd=tmp_path,
            env={
                **os.environ,
                **{key: value for key, value in caxton.environ.items() if value},
                "_CAXTON_COMPLETE": "bash_complete",
                "COMP_WORDS": " ".join(["caxton", *words]),
                "COMP_CWORD": str(len(words)),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    return completed
