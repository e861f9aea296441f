"""The newcomer's journey, on the real server process and the real embedded model."""

import os
import signal

import psutil
from support.server import until

AGENT = """\
name = "my-agent"
system_prompt = "You are a friendly assistant. Answer in one short sentence."

[llm]
temperature = 0.0
max_tokens = 60
"""


def test_from_a_file_to_an_agent_that_answers_remembers_and_changes(cli):
    file = cli.directory / "my-agent.toml"
    file.write_text(AGENT)

    # One file, one command, one answer.
    cli("server", "start")
    created = cli("create", "--config", "my-agent.toml")
    assert "my-agent" in created
    first = cli.say("my-agent", "Hello, my name is Ada.")
    assert first["text"].strip()
    assert first["provider"] == "local"
    assert "SmolLM2" in first["model"]
    assert first["usage"]["completion_tokens"] > 0
    assert "my-agent" in cli("agent", "list")

    # The follow-up is answered with the first turn in its context.
    second = cli.say("my-agent", "What did I say?")
    assert second["conversation_id"] == first["conversation_id"]
    sent = trace(cli, second)["prompt"]
    assert [message["content"] for message in sent[:3]] == [
        "You are a friendly assistant. Answer in one short sentence.",
        "Hello, my name is Ada.",
        first["text"],
    ]

    # Edit the file: the next turn runs under it, with the same id and the same history.
    before = show(cli)
    home = cli.agents / "my-agent.toml"
    home.write_text(AGENT.replace("You are a friendly assistant.", "You are a pirate captain. Say Arrr."))
    until(lambda: "pirate" in show(cli)["definition"]["system_prompt"], "the reload")
    third = cli.say("my-agent", "Who are you?")
    assert third["text"] != second["text"]
    assert "pirate captain" in trace(cli, third)["prompt"][0]["content"]
    assert first["text"] in [message["content"] for message in trace(cli, third)["prompt"]]
    assert show(cli)["id"] == before["id"]

    # Break the file: the agent answers on, and the diagnostics are there to see.
    home.write_text(AGENT.replace("temperature", "temprature"))
    until(lambda: show(cli)["last_reload"]["outcome"] == "rejected", "the rejection")
    (problem,) = show(cli)["last_reload"]["diagnostics"]
    assert (problem["code"], problem["line"], problem["column"]) == ("unknown_key", 5, 1)
    assert "temperature" in problem["hint"]
    assert "temprature" in cli("agent", "show", "my-agent")
    fourth = cli.say("my-agent", "Are you there?")
    assert "pirate captain" in trace(cli, fourth)["prompt"][0]["content"]

    # Kill the server: agents and history are there again, the broken file notwithstanding.
    history = cli.json("agent", "history", "my-agent")
    os.kill(cli.pid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    until(lambda: cli.run("server", "status").returncode == 3, "the death of the server")
    cli("server", "start")
    assert show(cli)["id"] == before["id"]
    assert cli.json("agent", "history", "my-agent") == history
    fifth = cli.say("my-agent", "Still there?")
    assert fourth["text"] in [message["content"] for message in trace(cli, fifth)["prompt"]]

    # Stop it: nothing is left behind.
    family = [psutil.Process(cli.pid()), *psutil.Process(cli.pid()).children(recursive=True)]
    assert len(family) > 1, "the embedded model should run in a process of its own"
    cli("server", "stop")
    assert not (cli.directory / "data" / "server.pid").exists()
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_a_message_by_curl_without_a_content_type_is_answered(server):
    server("create", "curled", "--template", "assistant")
    status, _, reply = server.http("POST", "/agents/curled/message", '{"text":"Hello"}')
    assert status == 200
    assert reply["text"]


def test_the_reply_streams_from_the_model(server):
    server("create", "streamer", "--template", "assistant")
    status, headers, body = server.http(
        "POST", "/agents/streamer/message", '{"text":"Hello"}', Accept="text/event-stream"
    )
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("event: ") for line in body.splitlines() if line.startswith("event: ")]
    assert events[0] == "start"
    assert events.count("delta") > 1
    assert events[-1] == "reply"


def show(cli):
    return cli.http("GET", "/agents/my-agent")[2]


def trace(cli, reply):
    return cli.http("GET", f"/messages/{reply['in_reply_to']}/trace")[2]
