"""The server as a process: how it starts, how it fails to, and how it ends."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from support.http import REPLY, Wire
from support.server import free_port, until

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import ServerSettings
from caxton.process import pidfile
from caxton.server.run import Stop, failure_in, listening, serve

DEADLINE = 30

SETTINGS = """
[server]
default_provider = "scripted"
drain_timeout = {drain}

[providers.scripted]
kind = "scripted"
script = "script.toml"
"""
SCRIPT = """
[[rules]]
match = "short"
delay = 0.5
[[rules]]
match = "long"
delay = 60.0
"""
AGENT = """
name = "my-agent"
system_prompt = "Be kind."
"""

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no signal that asks a process to end")


class Process:
    """`python -m caxton.server` in a directory of its own, with an agent that answers by script."""

    def __init__(self, directory: Path, *, drain: float = 10.0) -> None:
        self.directory = directory
        self.port = free_port()
        self.data = directory / "data"
        (self.data / "agents").mkdir(parents=True, exist_ok=True)
        (self.data / "agents" / "my-agent.toml").write_text(AGENT)
        (directory / "caxton.toml").write_text(SETTINGS.format(drain=drain))
        (directory / "script.toml").write_text(SCRIPT)
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("CAXTON_")}
        self.process: subprocess.Popen[str] | None = None

    def command(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "caxton.server", "--data-dir", str(self.data), "--port", str(self.port), *options]

    def refused(self, *options: str, status: int = 1) -> str:
        """What a server says that does not come up."""
        done = subprocess.run(
            self.command(*options),
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    @contextmanager
    def running(self) -> Iterator["Process"]:
        with subprocess.Popen(
            self.command(), cwd=self.directory, env=self.environ, stderr=subprocess.PIPE, text=True
        ) as self.process:
            try:
                until(self.is_up, "the start of the server", DEADLINE)
                assert self.get("/ready")["ready"]
                yield self
            finally:
                self.process.kill()

    def is_up(self) -> bool:
        """Whether this process holds the data directory, and so listens; an earlier one's PID file does not count."""
        assert self.process
        assert self.process.poll() is None, self.process.communicate()
        instance = pidfile.read(self.data / "server.pid")
        return instance is not None and instance.pid == self.process.pid

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def get(self, path: str) -> dict:
        connection = self.connect()
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    @contextmanager
    def asking(self, text: str, **headers: str) -> Iterator[http.client.HTTPConnection]:
        """A connection on which a message was sent whose turn is under way."""
        connection = self.connect()
        connection.request("POST", "/agents/my-agent/message", text.encode(), headers)
        until(lambda: self.get("/agents/my-agent")["activity"].get("active_turns") == 1, "the turn")
        yield connection
        connection.close()

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def end(self, status: int = 0) -> str:
        """What the server said until it ended."""
        assert self.process
        _, said = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == status, said
        assert "Traceback" not in said
        return said


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_status_0_and_leaves_no_pid_file(tmp_path, number):
    with Process(tmp_path).running() as server:
        began = time.monotonic()
        server.signal(number)
        said = server.end()
    assert time.monotonic() - began < 5
    assert f"listens on http://127.0.0.1:{server.port}" in said
    assert "has stopped" in said
    assert not (server.data / "server.pid").exists()


@posix
def test_a_turn_under_way_is_finished_and_answered_while_nobody_else_is_let_in(tmp_path):
    with Process(tmp_path).running() as server, server.asking("short") as connection:
        server.signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["text"] == "echo: short"
        with pytest.raises(OSError, match=r"refused|reset"):
            server.get("/health")
        server.end()


@posix
def test_a_turn_that_outlasts_the_drain_timeout_is_told_so(tmp_path):
    with Process(tmp_path, drain=0.2).running() as server, server.asking("long") as connection:
        server.signal(signal.SIGTERM)
        answer = connection.getresponse()
        problem = json.loads(answer.read())
        assert (answer.status, problem["code"]) == (503, "server_stopping")
        server.end()


@posix
def test_a_stream_that_outlasts_the_drain_timeout_ends_with_the_error(tmp_path):
    headers = {"accept": "text/event-stream"}
    with Process(tmp_path, drain=0.2).running() as server, server.asking("long", **headers) as connection:
        server.signal(signal.SIGTERM)
        events = connection.getresponse().read().decode()
        assert events.startswith("event: start")
        assert '"code":"server_stopping"' in events.rpartition("event: error")[2]
        server.end()


@posix
def test_the_second_signal_ends_the_server_at_once(tmp_path):
    with Process(tmp_path, drain=60).running() as server, server.asking("long"):
        began = time.monotonic()
        server.signal(signal.SIGINT)
        # A server that has taken the first signal to heart listens no more.
        until(lambda: not accepts(server.port), "the end of listening")
        server.signal(signal.SIGTERM)
        server.end(status=1)
        assert time.monotonic() - began < 10


@posix
def test_what_was_accepted_before_a_sudden_end_is_answered_after_the_next_start(tmp_path):
    with Process(tmp_path).running() as server, server.asking("short"):
        server.signal(signal.SIGKILL)
        server.end(status=-signal.SIGKILL)
    with server.running():
        said = until(lambda: server.get("/agents/my-agent/messages")["messages"][1:], "the answer")
        assert said[0]["text"] == "short"


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE):
            return True
    except OSError:
        return False


def test_a_port_in_use_is_said_clearly(tmp_path):
    server = Process(tmp_path)
    with socket.create_server(("127.0.0.1", server.port)):
        said = server.refused()
    assert "port_in_use" in said
    assert str(server.port) in said
    assert "--port" in said


def test_an_address_that_is_not_ours_is_not_called_a_port_in_use(tmp_path):
    said = Process(tmp_path).refused("--host", "203.0.113.1")
    assert "port_in_use" not in said
    assert "203.0.113.1" in said
    assert "--host" in said


def test_every_problem_of_the_server_file_is_shown(tmp_path):
    server = Process(tmp_path)
    (tmp_path / "caxton.toml").write_text('[server]\nport = 0\nhots = "x"\n')
    said = server.refused()
    assert "caxton.toml:2:" in said
    assert "caxton.toml:3:" in said
    assert "'host'" in said


def test_a_wrong_option_is_a_problem_of_the_options(tmp_path):
    assert "--port" in Process(tmp_path).refused("--port", "70000")
    assert "--colour" in Process(tmp_path).refused("--colour", "red", status=2)


def test_a_data_directory_that_cannot_be_one_is_said_clearly(tmp_path):
    server = Process(tmp_path)
    (tmp_path / "file").write_text("not a directory")
    said = server.refused("--data-dir", str(tmp_path / "file" / "data"))
    assert "storage_failed" in said
    assert str(tmp_path / "file" / "data") in said
    assert "hint:" in said


def test_a_database_that_is_none_is_said_clearly_and_left_alone(tmp_path):
    server = Process(tmp_path)
    (server.data / "caxton.db").write_bytes(
        b"this is no database, but as long as the header of one would be: 100 b" * 2
    )
    before = (server.data / "caxton.db").read_bytes()
    said = server.refused()
    assert "storage_failed" in said
    assert "caxton.db" in said
    assert (server.data / "caxton.db").read_bytes() == before
    assert not (server.data / "server.pid").exists()


def test_a_second_server_on_the_same_data_is_refused(tmp_path):
    with Process(tmp_path).running() as server:
        server.port = free_port()
        said = server.refused()
    assert "server_running" in said
    assert str(server.process.pid) in said


def test_nothing_heavy_is_imported_to_start():
    heavy = {"cryptography", "httpx", "httpx2", "jsonschema", "litellm", "mcp", "ollama", "onnxruntime", "openai"}
    heavy |= {"prompt_toolkit", "rich", "tokenizers", "tree_sitter", "wasmtime", "xllamacpp"}
    # Redis is there for the tests alone; whoever else finds it imports it.
    program = "import sys; sys.modules['redis'] = None; import caxton.server.run; "
    program += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert set(done.stdout.split()) & heavy == set()


@pytest.fixture
def settings(tmp_path):
    return ServerSettings(data_dir=tmp_path, agents_dir=tmp_path / "agents", port=free_port())


class Caxton:
    """What `serve` opens: services that reply, and an end that waits to be let go."""

    def __init__(self, settings, services) -> None:
        self.running = SimpleNamespace(settings=settings, services=services)
        self.draining = asyncio.Event()
        self.drained = asyncio.Event()

    @asynccontextmanager
    async def open(self, settings):
        yield self.running
        self.draining.set()
        await self.drained.wait()


@asynccontextmanager
async def served(settings, services):
    """A server in the loop of the test: Caxton, how to stop it, its socket."""
    stop, caxton = Stop(), Caxton(settings, services)
    with listening(settings) as listener:
        serving = asyncio.create_task(serve(settings, listener, stop=stop, open_caxton=caxton.open))
        try:
            yield caxton, stop, Wire(settings.port, None)
        finally:
            stop.asked = True
            caxton.drained.set()
            await asyncio.wait_for(serving, DEADLINE)


BEGUN = "POST /agents/my-agent/message HTTP/1.1\nhost: localhost\ncontent-length: 5"


async def test_a_request_that_is_whole_only_after_the_end_began_is_refused(settings, services):
    async with served(settings, services) as (caxton, stop, wire):
        reader, writer = await wire.connect()
        writer.write(BEGUN.replace("\n", "\r\n").encode() + b"\r\nexpect: 100-continue\r\n\r\n")
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        stop.asked = True
        await asyncio.wait_for(caxton.draining.wait(), DEADLINE)
        writer.write(b"Hello")
        answer = await asyncio.wait_for(wire.answer(reader), DEADLINE)
        writer.close()
    assert answer.status == 503
    assert json.loads(answer.body)["code"] == "server_stopping"
    assert answer.headers["connection"] == "close"
    assert not services["messages"].calls


async def test_an_idle_connection_is_closed_when_the_end_begins(settings, services):
    async with served(settings, services) as (caxton, stop, wire):
        async with wire.request("GET /health HTTP/1.1\nhost: localhost") as reader:
            assert (await wire.answer(reader)).status == 200
            stop.asked = True
            assert await asyncio.wait_for(reader.read(), DEADLINE) == b""
        assert not caxton.drained.is_set()


async def test_who_does_not_take_his_answer_cannot_keep_the_server_from_ending(settings, services, monkeypatch):
    monkeypatch.setattr("caxton.server.run.LAST_WORDS", 1)
    services["messages"].answers["send"] = lambda **_: {"text": "x" * 50_000_000}
    async with served(settings, services) as (caxton, stop, wire), wire.request(BEGUN, b"Hello") as reader:
        await reader.readexactly(10)
        stop.asked = True
        await asyncio.wait_for(caxton.draining.wait(), DEADLINE)
        caxton.drained.set()


async def test_a_client_that_comes_before_the_server_is_ready_waits_for_it(settings, services):
    caxton, stop, go_on = Caxton(settings, services), Stop(), asyncio.Event()

    @asynccontextmanager
    async def slowly(settings):
        await go_on.wait()
        async with caxton.open(settings) as running:
            yield running

    with listening(settings) as listener:
        serving = asyncio.create_task(serve(settings, listener, stop=stop, open_caxton=slowly))
        wire = Wire(settings.port, None)
        async with wire.request(BEGUN, b"Hello") as reader:
            go_on.set()
            answer = await asyncio.wait_for(wire.answer(reader), DEADLINE)
        stop.asked = True
        caxton.drained.set()
        await asyncio.wait_for(serving, DEADLINE)
    assert json.loads(answer.body)["text"] == REPLY.text


async def test_a_server_asked_to_stop_before_it_is_ready_stops_then(settings, services):
    caxton, stop = Caxton(settings, services), Stop()
    stop.asked = True
    caxton.drained.set()
    with listening(settings) as listener:
        await asyncio.wait_for(serve(settings, listener, stop=stop, open_caxton=caxton.open), DEADLINE)
    assert caxton.draining.is_set()


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
async def test_a_server_that_others_can_reach_warns_that_it_lets_everybody_in(settings, services, caplog, host, warned):
    async with served(msgspec.structs.replace(settings, host=host), services):
        pass
    assert ("there is no authentication" in caplog.text) is warned


@posix
def test_signals_are_heeded_for_the_block_only():
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    stop = Stop()
    with stop.on_signals():
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_expected_failure_is_found_inside_the_groups_that_tasks_wrap_it_in():
    expected = CaxtonError(Code.STORAGE_FAILED, "No space.")
    assert failure_in(expected) is expected
    assert failure_in(BaseExceptionGroup("", [ExceptionGroup("", [expected])])) is expected
    assert failure_in(ExceptionGroup("", [expected, RuntimeError("a fault")])) is None
    assert failure_in(RuntimeError("a fault")) is None
