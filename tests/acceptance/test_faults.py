"""Whatever goes wrong around a server: a clear error, nothing lost, and the server well afterwards."""

import http.client
import json
import os
import socket
import sys
import threading

import psutil
import pytest
from support.server import SCRIPTED, Cli, free_port, until

AGENT = 'name = "helper"\nsystem_prompt = "You help."\n'
RULES = """
[[rules]]
match = "^crash"
crash = true

[[rules]]
match = "^slow"
delay = 30.0

[[rules]]
match = "^busy"
error = "provider_rate_limited"
"""


@pytest.fixture
def ruled(cli):
    """A server whose model follows RULES, with the agent `helper`."""
    (cli.directory / "rules.toml").write_text(RULES)
    (cli.directory / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    (cli.directory / "helper.toml").write_text(AGENT)
    cli("server", "start")
    cli("create", "--config", "helper.toml")
    return cli


def test_a_second_server_is_told_what_runs_already(scripted):
    said = scripted("server", "start", fails=1)
    assert f"process {scripted.pid()}" in said
    assert scripted.url in said


def test_a_port_in_use_is_named_with_the_way_out(cli):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = cli("server", "start", "--port", str(port), fails=1)
    assert f"port {port}" in said
    assert "--port" in said
    assert not (cli.directory / "data" / "server.pid").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a file in the way is another error on Windows")
def test_a_data_directory_that_cannot_be_is_named(cli):
    (cli.directory / "file").write_text("")
    said = cli("server", "start", "--data-dir", str(cli.directory / "file" / "data"), fails=1)
    assert "cannot be" in said
    assert "--data-dir" in said or "CAXTON_DATA_DIR" in said


def test_a_wrong_server_file_is_told_with_its_place(cli):
    (cli.directory / "caxton.toml").write_text("[server]\nprot = 8080\n")
    said = cli("server", "start", fails=1)
    assert "caxton.toml:2:1" in said
    assert "Did you mean 'port'?" in said


def test_a_damaged_database_is_told_and_left_alone(cli):
    data = cli.directory / "data"
    data.mkdir()
    (data / "caxton.db").write_bytes(b"this is no database, and long enough to be looked at " * 100)
    before = (data / "caxton.db").read_bytes()
    said = cli("server", "start", fails=1)
    assert "caxton.db" in said
    assert (data / "caxton.db").read_bytes() == before


def test_a_server_that_is_not_there_is_exit_status_3(cli):
    for arguments in (["agent", "list"], ["message", "send", "x", "y"], ["server", "status"], ["chat", "x"]):
        said = cli(*arguments, fails=3)
        assert "No " in said
    assert "caxton server start" in cli("agent", "list", fails=3)


def test_a_crash_of_one_agent_leaves_the_other_alone_and_heals(ruled):
    (ruled.agents / "other.toml").write_text(AGENT.replace("helper", "other"))
    until(lambda: ruled.http("GET", "/agents/other")[0] == 200, "the second agent")
    status, _, problem = ruled.http("POST", "/agents/helper/message", "crash now")
    assert (status, problem["code"]) == (500, "turn_crashed")
    assert ruled.say("other", "hello")["text"] == "echo: hello"
    assert ruled.http("GET", "/agents/helper")[2]["activity"]["last_error"]["code"] == "turn_crashed"
    assert ruled.say("helper", "hello again")["text"] == "echo: hello again"
    triggers = [event["trigger"] for event in ruled.http("GET", "/agents/helper/events")[2]["events"]]
    assert triggers[:2] == ["start", "fail"]


def test_a_providers_error_reaches_the_caller_by_its_code(ruled):
    status, headers, problem = ruled.http("POST", "/agents/helper/message", "busy?")
    assert (status, problem["code"]) == (503, "provider_rate_limited")
    assert headers["content-type"] == "application/problem+json"
    assert "busy" not in json.dumps(ruled.http("GET", "/agents/helper")[2]["definition"])


def test_a_turn_that_takes_too_long_ends_with_a_timeout(ruled):
    (ruled.agents / "helper.toml").write_text(AGENT + '[resources]\nmax_execution_time = "200ms"\n')
    until(
        lambda: ruled.http("GET", "/agents/helper")[2]["definition"]["resources"]["max_execution_time"] == 0.2,
        "the reload",
    )
    status, _, problem = ruled.http("POST", "/agents/helper/message", "slow please")
    assert (status, problem["code"]) == (504, "turn_timeout")
    assert ruled.say("helper", "quick")["text"] == "echo: quick"


def test_a_missing_key_is_named_by_its_variable(cli):
    cli("server", "start")
    cli("create", "keyless", "--template", "assistant")
    file = cli.agents / "keyless.toml"
    file.write_text('llm_provider = "openai"\n' + file.read_text())
    until(lambda: cli.http("GET", "/agents/keyless")[2]["provider"] == "openai", "the reload")
    status, _, problem = cli.http("POST", "/agents/keyless/message", "hello")
    assert (status, problem["code"]) == (502, "provider_authentication")
    assert "OPENAI_API_KEY" in problem["detail"]


def test_an_unreachable_provider_is_named_and_the_next_message_is_tried_again(cli):
    port = free_port()
    (cli.directory / "caxton.toml").write_text(
        f'[providers.gone]\nkind = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\nmodel = "m"\n'
    )
    (cli.directory / "helper.toml").write_text('llm_provider = "gone"\n' + AGENT)
    cli("server", "start")
    cli("create", "--config", "helper.toml")
    for _ in range(2):
        status, _, problem = cli.http("POST", "/agents/helper/message", "hello")
        assert (status, problem["code"]) == (503, "provider_unavailable")
    assert cli.http("GET", "/ready")[0] == 200


def test_a_client_that_hangs_up_in_the_middle_leaves_the_server_well(server):
    server("create", "talker", "--template", "assistant")
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
    body = json.dumps({"text": "Tell me a long story about the sea."})
    connection.request("POST", "/agents/talker/message", body=body, headers={"accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.readline().startswith(b"event: start")
    answer.close()
    connection.close()
    assert server.say("talker", "Hello")["text"]
    talk = server.json("agent", "history", "talker")
    assert sorted(message["sender"] for message in talk) == ["talker", "talker", "user", "user"]


def test_a_model_process_that_dies_is_replaced(server):
    server("create", "talker", "--template", "assistant")
    assert server.say("talker", "Hello")["text"]
    (model,) = psutil.Process(server.pid()).children()
    model.kill()
    model.wait(10)
    assert server.say("talker", "Hello again")["text"]
    assert psutil.Process(server.pid()).children() != [model]


def test_what_was_accepted_is_answered_after_kill_9(ruled):
    waiting = threading.Thread(target=lambda: ruled.run("message", "send", "helper", "slow one"))
    waiting.start()
    until(lambda: ruled.http("GET", "/agents/helper")[2]["activity"].get("active_turns") == 1, "the turn")
    psutil.Process(ruled.pid()).kill()
    waiting.join(30)
    (ruled.directory / "rules.toml").write_text("")
    until(lambda: ruled.run("server", "status").returncode == 3, "the death of the server")
    ruled("server", "start")
    replies = until(
        lambda: [m["text"] for m in ruled.json("agent", "history", "helper") if m["sender"] == "helper"],
        "the late answer",
    )
    assert replies == ["echo: slow one"]


def test_a_stopping_server_lets_the_turn_finish(ruled):
    (ruled.directory / "rules.toml").write_text('[[rules]]\nmatch = "^wait"\ndelay = 1.0\n')
    ruled("server", "restart")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ruled.say("helper", "wait a moment")["text"]))
    waiting.start()
    until(lambda: ruled.http("GET", "/agents/helper")[2]["activity"].get("active_turns") == 1, "the turn")
    ruled("server", "stop")
    waiting.join(30)
    assert answers == ["echo: wait a moment"]
    assert not (ruled.directory / "data" / "server.pid").exists()


@pytest.mark.skipif(os.name != "posix", reason="the foreground server replaces the command on POSIX only")
def test_the_foreground_server_is_the_process_that_was_started(cli: Cli):
    command = [sys.executable, "-m", "caxton", "server", "start", "--foreground"]
    with psutil.Popen(command, cwd=cli.directory, env=cli.environ) as server:
        until(lambda: cli.run("server", "status").returncode == 0, "the server")
        assert cli.pid() == server.pid
        server.terminate()
        assert server.wait(20) == 0
