"""`caxton server`: real servers in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.server import SCRIPTED, free_port, until

from caxton.cli import server as module
from caxton.domain.errors import CaxtonError, Code
from caxton.process import daemon, pidfile
from caxton.process.pidfile import Instance

# What is started goes on by itself: nobody waits for it, and Python notes that.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def own(apart, tmp_path, data):
    """The command where servers may be started; they echo, and are killed at the end."""
    (tmp_path / "caxton.toml").write_text(SCRIPTED)
    yield apart
    for folder in (data, tmp_path / "elsewhere"):
        if instance := pidfile.read(folder / "server.pid"):
            psutil.Process(instance.pid).kill()


@pytest.fixture
def here(data):
    """A server that is this very process, as far as anybody can see."""
    data.mkdir()
    me = Instance(pid=os.getpid(), url="http://127.0.0.1:1", version="1", started_at=1.7e9, data_dir=str(data))
    with pidfile.hold(data / "server.pid", me):
        yield me


def test_a_server_starts_in_the_background_and_stops(own, data):
    url = f"http://127.0.0.1:{own.environ['CAXTON_PORT']}"
    said = own.out("server", "start")
    instance = pidfile.read(data / "server.pid")
    assert said.splitlines()[0] == f"Server {instance.pid} runs at {url}."
    assert str(data / "server.log") in said
    assert "Next: caxton create hello --template assistant" in said

    said = own.out("server", "status")
    assert said.splitlines()[0] == f"Server {instance.pid} runs at {url}, ready."
    assert [line.split()[:2] for line in said.splitlines()[1:3]] == [["database", "ok"], ["agents", "ok"]]
    told = own.json("server", "status")
    assert (told["running"], told["ready"], told["instance"]["pid"]) == (True, True, instance.pid)

    said = own.err("server", "start", fails=1)
    assert f"A server runs already: process {instance.pid} at {url}, since " in said
    assert "caxton server stop" in said

    assert own.out("server", "stop") == f"Stopped server {instance.pid}.\n"
    assert own.out("server", "stop") == "No server runs.\n"
    assert own("server", "status", fails=3).stdout == "No server runs.\n"


def test_a_servers_life_is_told_to_programs(own):
    started = own.json("server", "start")
    assert started["url"].endswith(own.environ["CAXTON_PORT"])
    restarted = own.json("server", "restart")
    assert restarted["pid"] != started["pid"]
    assert own.json("server", "stop") == {"stopped": True, "pid": restarted["pid"]}
    assert own.json("server", "stop") == {"stopped": False}
    told = own("server", "status", "--output", "json", fails=3)
    assert json.loads(told.stdout) == {"running": False, "instance": None}


def test_other_commands_find_a_server_on_another_port_by_its_data_directory(own):
    port = free_port()
    said = own.out("server", "start", "--port", str(port))
    assert f"runs at http://127.0.0.1:{port}." in said
    assert "Next: caxton create" in said
    assert own.json("agent", "list") == {"agents": [], "rejected": []}


def test_where_other_commands_would_not_find_it_the_next_step_names_it(own, tmp_path):
    port = free_port()
    folder = str(tmp_path / "elsewhere")
    said = own.out("server", "start", "--port", str(port), "--data-dir", folder)
    assert f"Next: caxton --url http://127.0.0.1:{port} create" in said
    assert own("agent", "list", "--url", f"http://127.0.0.1:{port}").exit_code == 0
    assert own.out("server", "stop", "--data-dir", folder).startswith("Stopped")


def test_a_restart_finds_the_server_by_the_server_file_that_is_named(own, tmp_path):
    own.environ["CAXTON_DATA_DIR"] = None
    (tmp_path / "other.toml").write_text(SCRIPTED.replace("[server]", '[server]\ndata_dir = "elsewhere"'))
    first = own.json("server", "start", "--config", "other.toml")
    second = own.json("server", "restart", "--config", "other.toml")
    assert first["pid"] != second["pid"]
    assert not psutil.pid_exists(first["pid"]) or not pidfile.birth_of(first["pid"])


def test_one_that_dies_while_starting_fails_with_its_own_words(own, tmp_path, data):
    (tmp_path / "caxton.toml").write_text("[server]\nprot = 8080\n")
    said = own.err("server", "start", fails=1)
    assert "caxton.toml:2:1: error[unknown_key]" in said
    assert f"hint: Its log is {data / 'server.log'}." in said
    error = json.loads(own.err("server", "start", "--output", "json", fails=1))
    assert error["code"] == Code.CONFIGURATION_INVALID


def test_one_that_is_not_ready_in_time_is_told_with_its_log(own, monkeypatch):
    def never(*arguments, timeout, log_file, **keywords):
        raise CaxtonError(Code.SERVER_UNREACHABLE, f"not ready within {timeout:g} s", hint=f"Its log is {log_file}.")

    monkeypatch.setattr(daemon, "start", never)
    said = own.err("server", "start", fails=3)
    assert "not ready within 60 s" in said
    assert "server.log" in said


def test_one_that_runs_and_does_not_answer_is_told(apart, here):
    said = apart("server", "status", fails=3).stdout
    assert said == f"Server {here.pid} runs and does not answer.\n"


def test_a_stale_file_is_no_server(apart, here, data):
    file = data / "server.pid"
    file.write_text(file.read_text().replace('"birth":"', '"birth":"before '))
    assert apart("server", "status", fails=3).stdout == "No server runs.\n"
    assert apart.out("server", "stop") == "No server runs.\n"


@pytest.mark.parametrize("way", ["flag", "environment"])
def test_the_status_of_a_server_that_is_named_is_not_that_of_the_one_here(apart, here, house, way):
    if way == "environment":
        apart.environ["CAXTON_URL"] = house
    said = apart.out("server", "status", *(["--url", house] if way == "flag" else []))
    assert said.splitlines()[0] == f"A server runs at {house}, ready."


def test_a_server_that_is_not_ready_is_shown_with_its_parts(raw, apart):
    part = {"name": "database", "status": "failed", "detail": "disk full"}
    raw.answers(503, json.dumps({"ready": False, "components": [part]}).encode())
    said = apart.out("server", "status")
    assert "not ready." in said
    assert "  database             failed    disk full" in said


def test_one_that_does_not_end_in_time_is_told_with_the_ways_out(apart, here, monkeypatch):
    asked = []
    monkeypatch.setattr(daemon, "stop", lambda instance, **keywords: asked.append(keywords))
    said = apart.err("server", "stop", "--timeout", "2", fails=1)
    assert f"Server {here.pid} did not end within 2 s." in said
    assert "--force" in said
    apart("server", "stop", "--force", fails=1)
    assert asked == [{"timeout": 2.0, "force": False}, {"timeout": 60.0, "force": True}]


def test_the_options_of_start_are_those_that_the_server_takes():
    taken = subprocess.run(
        [sys.executable, "-m", "caxton.server", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(f"--{option}" in taken for option in module.OPTIONS)


@pytest.mark.skipif(os.name != "posix", reason="the foreground server replaces the command on POSIX only")
def test_in_the_foreground_the_command_becomes_the_server(own, tmp_path, data):
    environ = {**os.environ, **own.environ}
    command = [sys.executable, "-m", "caxton", "server", "start", "--foreground"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: pidfile.read(data / "server.pid"), "the server")
        assert pidfile.read(data / "server.pid").pid == process.pid
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "listens on" in log


def test_a_damaged_database_is_rescued_for_who_says_so(apart, tmp_path):
    database = tmp_path / "data" / "caxton.db"
    assert "There is no database" in apart.err("server", "rescue", "--yes", fails=1)
    apart("server", "start")
    apart("create", "hello", "--template", "assistant")
    assert "Another Caxton server" in apart.err("server", "rescue", "--yes", fails=1)
    apart("server", "stop")
    assert "--yes" in apart.err("server", "rescue", fails=2)
    said = apart.out("server", "rescue", "--yes")
    assert "agents" in said
    assert str(database.with_suffix(".damaged.db")) in said.replace("\n", "")
    apart("server", "start")
    assert [one["name"] for one in apart.json("agent", "list")["agents"]] == ["hello"]
    apart("server", "stop")
