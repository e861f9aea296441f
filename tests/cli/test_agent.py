"""`caxton agent`."""

import json
from pathlib import Path

import pytest

VERBS = ("show", "stop", "start", "restart", "reload")


def test_the_list_has_a_line_an_agent_for_people(caxton, agent):
    head, *lines = caxton.out("agent", "list").splitlines()
    assert head.split()[:3] == ["NAME", "STATE", "PROVIDER"]
    (mine,) = [line.split() for line in lines if line.startswith(agent)]
    assert mine[1:3] == ["running", "scripted"]
    assert mine[-1] == "Echoes"


def test_the_list_is_the_operations_answer_for_programs(caxton, agent):
    answer = caxton.json("agent", "list")
    assert set(answer) == {"agents", "rejected"}
    assert agent in [one["name"] for one in answer["agents"]]


def test_the_list_shows_files_that_define_no_agent(raw, apart):
    problem = {"code": "unknown_key", "message": "no key 'nme'", "file": "x.toml", "line": 1, "column": 1}
    rejected = {"file": "x.toml", "at": 1, "diagnostics": [problem]}
    raw.answers(200, json.dumps({"agents": [], "rejected": [rejected]}).encode())
    said = apart.out("agent", "list")
    assert "There is no agent yet. Next: caxton create" in said
    assert "x.toml defines no agent:" in said
    assert "x.toml:1:1: error[unknown_key]: no key 'nme'" in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_answers_with_the_agent(caxton, agent, verb):
    said = caxton.out("agent", verb, agent)
    assert f"name           {agent}" in said
    assert "system prompt  You echo." in said
    told = caxton.json("agent", verb, agent)
    assert told["name"] == agent
    assert told["definition"]["system_prompt"] == "You echo."


@pytest.mark.parametrize("verb", VERBS)
def test_an_agent_that_is_not_there_is_an_error_with_the_nearest(caxton, agent, verb):
    said = caxton.err("agent", verb, f"{agent}x", fails=1)
    assert said == f"error: There is no agent {agent + 'x'!r}.\nhint: Did you mean {agent!r}?\n"


def test_a_stopped_agent_is_stopped_until_it_is_started(caxton, agent):
    caxton("agent", "stop", agent)
    assert caxton.json("agent", "show", agent)["state"] == "stopped"
    assert "is stopped" in caxton.err("message", "send", agent, "Hello", fails=1)
    caxton("agent", "start", agent)
    assert caxton.out("message", "send", agent, "Hello") == "echo: Hello\n"


def test_the_last_error_and_a_rejected_file_are_shown(caxton, agent):
    caxton("message", "send", agent, "busy?", fails=1)
    file = Path(caxton.json("agent", "show", agent)["file"])
    file.write_text(file.read_text() + "nonsense = 1\n")
    failed = caxton("agent", "reload", agent, fails=1)
    assert "error[unknown_key]" in failed.stderr
    said = caxton.out("agent", "show", agent)
    assert "last error" in said
    assert "1, of them failed 1" in said
    assert "The file as it is now was rejected; the agent goes on as it was before:" in said
    assert "nonsense = 1" in said


def test_events_tell_what_became_of_the_agent(caxton, agent):
    caxton("agent", "stop", agent)
    lines = caxton.out("agent", "events", agent).splitlines()
    assert lines[0].split() == ["WHEN", "WHAT", "FROM", "TO", "WHY"]
    assert [line.split("  ")[1].strip() for line in lines[1:3]] == ["stop", "drain"]
    events = caxton.json("agent", "events", agent, "--limit", "1")["events"]
    assert [event["trigger"] for event in events] == ["stop"]


def test_history_is_what_was_said_oldest_first(caxton, agent):
    assert caxton.out("agent", "history", agent) == "Nothing was said yet.\n"
    caxton("message", "send", agent, "One")
    caxton("message", "send", agent, "busy", fails=1)
    said = caxton.out("agent", "history", agent)
    assert [line for line in said.splitlines() if line and "ago" not in line][:3] == ["One", "echo: One", "busy"]
    assert "(failure: " in said
    assert [m["text"] for m in caxton.json("agent", "history", agent)][:2] == ["One", "echo: One"]
    assert caxton.json("agent", "history", agent, "--conversation", "another") == []
    assert len(caxton.json("agent", "history", agent, "--limit", "1")) == 1


def test_reset_erases_what_was_said(caxton, agent):
    caxton("message", "send", agent, "One")
    caxton("message", "send", agent, "Two", "--conversation", f"{agent} aside")
    assert caxton.out("agent", "reset", agent, "--conversation", f"{agent} aside", "--yes") == "Erased 2 messages.\n"
    assert caxton.json("agent", "reset", agent, "--yes") == {"messages_erased": 2}
    assert caxton.json("agent", "history", agent) == []


def test_delete_takes_the_agent_and_its_file(caxton, agent):
    file = caxton.json("agent", "show", agent)["file"]
    assert caxton.out("agent", "delete", agent, "--yes") == f"Deleted agent {agent}: {file}\n"
    assert "There is no agent" in caxton.err("agent", "show", agent, fails=1)


def test_a_purge_erases_what_was_said_too(caxton, agent):
    caxton("message", "send", agent, "One")
    assert caxton.json("agent", "delete", agent, "--purge", "--yes")["messages_erased"] == 2


@pytest.mark.parametrize("verb", ["delete", "reset"])
def test_what_erases_must_be_wanted_by_programs(caxton, agent, verb):
    assert "--yes" in caxton.err("agent", verb, agent, fails=2)
    assert caxton.json("agent", "show", agent)["name"] == agent


@pytest.mark.parametrize("verb", ["delete", "reset"])
@pytest.mark.usefixtures("person")
def test_what_erases_asks_people(caxton, agent, verb):
    caxton("message", "send", agent, "One", "--no-stream")
    result = caxton("agent", verb, agent, stdin="n\n", fails=130)
    assert agent in result.stdout
    assert caxton.json("agent", "history", agent) != []
    caxton("agent", verb, agent, stdin="y\n")
