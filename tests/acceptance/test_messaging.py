"""Agents that make each other work, and messages of every kind: the real server, over HTTP and by the command."""

import json
import os
import signal
import urllib.request
from typing import Any

import msgspec
import pytest
from support.server import DEADLINE, SCRIPTED, Cli, until

RULES = r"""
[[rules]]
match = '^delegate (\S+) (.+)$'
call = "messaging__ask"
arguments = { to = "{1}", text = "{2}" }
reply = "It says: {last}"

[[rules]]
match = '^hand over (\S+) (.+)$'
call = "messaging__send"
arguments = { to = "{1}", text = "{2}", performative = "request" }
reply = "{last}"

[[rules]]
match = '^who (\w+)$'
call = "messaging__find"
arguments = { words = "{1}" }
reply = "{last}"

[[rules]]
match = '^slow'
delay = 3.0

[[rules]]
match = '^(drew|failed|It says)'
reply = "It says: {last}"

[[rules]]
match = '^draw (.+)$'
reply = "drew {1}"
"""
AGENTS = {
    "asker": ("Asks others.", [], ["messaging.*"]),
    "looker": ("May only look around.", [], ["messaging.find"]),
    "artist": ("Draws pictures of numbers.", ["charts:v2"], ["messaging.*"]),
}


@pytest.fixture
def office(cli: Cli) -> Cli:
    (cli.directory / "rules.toml").write_text(RULES)
    (cli.directory / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    cli.agents.mkdir(parents=True)
    for name, (description, capabilities, tools) in AGENTS.items():
        (cli.agents / f"{name}.toml").write_text(
            f'name = "{name}"\ndescription = "{description}"\nsystem_prompt = "You help."\n'
            f"capabilities = {json.dumps(capabilities)}\ntools = {json.dumps(tools)}\n"
        )
    cli("server", "start")
    return cli


def post(cli: Cli, expect: int = 200, **fields: Any) -> Any:
    status, _, answer = cli.http("POST", "/messages", json.dumps(fields))
    assert status == expect, answer
    return answer


def listed(cli: Cli, agent: str, performative: str = "request") -> list[dict[str, Any]]:
    """The messages of an agent, newest first."""
    return cli.json("message", "list", agent, "--performative", performative)["messages"]


def test_an_agent_makes_another_one_work_by_what_that_can_do(office):
    assert office("message", "send", "asker", "delegate charts draw sales") == "It says: drew sales\n"
    [asked] = listed(office, "artist")
    assert (asked["sender"], asked["addressed"], asked["path"]) == ("asker", "capability:charts", ["asker"])
    assert asked["conversation_id"] == "user:asker/capability:charts"
    [request] = listed(office, "asker")
    assert asked["cause"] == request["id"]
    assert office("message", "send", "asker", "who pictures").startswith(
        "echo: artist: Draws pictures of numbers. Can do: "
    )


def test_work_that_would_go_round_ends_with_the_reason(office):
    said = office("message", "send", "asker", "delegate artist delegate asker draw sales")
    assert "circle" in said or "asker" in said
    codes = [step for step in json.dumps(trace(office, "artist")).split('"') if step == "delegation_loop"]
    assert codes == ["delegation_loop"]
    assert [len(listed(office, name)) for name in ("asker", "artist")] == [1, 1]


def trace(office: Cli, agent: str) -> Any:
    """How the last turn of an agent went."""
    [request, *_] = listed(office, agent)
    status, _, found = office.http("GET", f"/messages/{request['id']}/trace")
    assert status == 200
    return found


def test_an_agent_without_the_permission_makes_nobody_work(office):
    assert office("message", "send", "looker", "who pictures").startswith("echo: artist: ")
    office("message", "send", "looker", "delegate charts draw sales")
    [step] = trace(office, "looker")["steps"]
    assert (step["tool"], step["error"]) == ("messaging.ask", "tool_denied")
    assert listed(office, "artist") == []


def test_what_one_hands_over_comes_back_as_a_message_of_its_own(office):
    assert "as a message of its own" in office("message", "send", "asker", "hand over charts draw sales")
    [handed] = listed(office, "artist")
    until(lambda: listed(office, "asker", "inform"), "the reply")

    def arrived() -> list[dict[str, Any]]:
        return [one for one in listed(office, "artist", "inform") if one["in_reply_to"] == handed["id"]]

    [reply] = until(arrived, "the reply")
    assert (reply["receiver"], reply["text"]) == ("asker", "drew sales")
    until(lambda: office.json("message", "show", reply["id"])["state"] == "settled", "the end of the reply")


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_turn_that_runs_again_after_kill_9_makes_nobody_work_twice(office):
    posted = post(office, 202, receiver="asker", text="delegate charts slow drawing")
    id = posted["accepted"][0]["id"]
    until(lambda: listed(office, "artist"), "the delegation")
    os.kill(office.pid(), signal.SIGKILL)
    until(lambda: office.run("agent", "list").returncode == 3, "the end of the server")
    office("server", "start")
    assert office("message", "reply", id, "--timeout", "30s") == "echo: echo: slow drawing\n"
    assert len(listed(office, "artist")) == 1
    assert len(listed(office, "artist", "inform")) == 1


def test_messages_of_every_kind_are_answered_or_told_why_not(office):
    [reply] = post(office, receiver="capability:charts", text="draw sales", wait=10)["replies"]
    assert (reply["sender"], reply["content"]["text"]) == ("artist", "drew sales")
    [odd] = post(office, receiver="artist", performative="proxy", text="x", wait=10)["replies"]
    assert odd["performative"] == "not-understood"
    wrong = post(office, 422, receiver="artist", performative="requst", text="draw", reply_with="q1", priority=11)
    assert wrong["code"] == "message_not_understood"
    assert [one["field"] for one in wrong["problems"]] == ["performative", "priority"]
    assert wrong["not_understood"]["in_reply_to"] == "q1"
    assert post(office, 404, receiver="capability:chart", text="draw")["code"] == "capability_not_found"
    assert post(office, 404, receiver="artits", text="draw")["hint"] == "Did you mean 'artist'?"
    everybody = post(office, receiver="all", text="draw sales", wait=10)
    assert {one["sender"] for one in everybody["replies"]} == set(AGENTS)


def test_a_message_may_be_packed(office):
    packed = msgspec.msgpack.encode({"receiver": "artist", "text": "draw sales", "wait": 10})
    headers = {"content-type": "application/msgpack", "accept": "application/msgpack"}
    request = urllib.request.Request(f"{office.url}/messages", data=packed, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:  # noqa: S310
        assert answer.headers["content-type"] == "application/msgpack"
        assert msgspec.msgpack.decode(answer.read())["replies"][0]["content"]["text"] == "drew sales"
