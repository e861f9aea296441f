"""Agents that remember, through HTTP and CLI, with the real embedder and the embedded model."""

import json
import os
import signal
import sys

import pytest
from support.server import SCRIPTED, Cli, until

AGENT = """
name = "{name}"
system_prompt = "You answer in one short sentence, from what you remember."

[memory]
enabled = true
{options}
[llm]
max_tokens = 40
temperature = 0.0
"""
FACT = "My cat is called Mo and she is orange."


def create(cli: Cli, name: str = "mindful", options: str = "") -> None:
    (cli.directory / f"{name}.toml").write_text(AGENT.format(name=name, options=options))
    cli("create", "--config", f"{name}.toml")


def recalled(cli: Cli, reply: dict) -> list[str]:
    return [one["text"] for one in cli.json("message", "turn", reply["in_reply_to"]).get("recalled", [])]


def test_a_fact_told_in_one_conversation_is_known_in_another_after_a_kill(server):
    create(server)
    create(server, "other")
    server.say("mindful", FACT, conversation_id="first")
    os.kill(server.pid(), signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    server("server", "start")
    reply = server.say("mindful", "What is the name of my cat?", conversation_id="second")
    assert recalled(server, reply) == [FACT]
    assert "Mo" in reply["text"]
    stranger = server.say("other", "What is the name of my cat?", conversation_id="third")
    assert recalled(server, stranger) == []


@pytest.fixture
def house(scripted) -> Cli:
    """A server whose model echoes, with a mindful agent: what is remembered is real, what is answered is not."""
    create(scripted)
    return scripted


def test_what_matters_is_found_by_meaning(house):
    for fact in (FACT, "I work as a carpenter in Graz.", "My favourite dish is lentil soup.", "I was born in 1987."):
        house.say("mindful", fact)
    hits = house.json("memory", "search", "what does the user like to eat", "--agent", "mindful")["hits"]
    assert hits[0]["entry"]["value"] == "My favourite dish is lentil soup."
    assert "carpenter" in house("memory", "search", "profession", "--limit", "1", "--agent", "mindful")


def test_a_workspace_is_shared_by_those_in_it_and_nobody_else(house):
    create(house, "first", 'scope = "workspace"\nworkspace = "lab"')
    create(house, "second", 'scope = "workspace"\nworkspace = "lab"')
    create(house, "third", 'scope = "workspace"\nworkspace = "office"')
    house.say("first", FACT)
    assert recalled(house, house.say("second", "What is my cat called?")) == [FACT]
    assert recalled(house, house.say("third", "What is my cat called?")) == []
    assert recalled(house, house.say("mindful", "What is my cat called?")) == []


def test_memory_is_listed_shown_exported_forgotten_and_imported(house):
    house.say("mindful", FACT)
    added = house.json("memory", "add", "Lives in Graz", "--agent", "mindful", "--key", "home", "--tag", "place")
    assert house.json("memory", "show", added["id"])["tags"] == ["place"]
    listed = house.json("memory", "list", "--agent", "mindful")["entries"]
    assert [entry["value"] for entry in listed] == ["Lives in Graz", FACT]
    exported = house("memory", "export", "--agent", "mindful")
    assert [json.loads(line)["value"] for line in exported.splitlines()] == [FACT, "Lives in Graz"]
    (house.directory / "memory.jsonl").write_text(exported, encoding="utf-8")
    assert house("memory", "forget", "--subject", "user", "--yes") == "Forgotten: 1.\n"
    assert house("memory", "forget", added["id"], "--yes") == "Forgotten: 1.\n"
    assert house.json("memory", "list")["entries"] == []
    assert house.json("memory", "import", "memory.jsonl") == {"records": 2}
    assert house.json("memory", "import", "memory.jsonl") == {"records": 0}
    assert {entry["id"] for entry in house.json("memory", "list")["entries"]} == {entry["id"] for entry in listed}
    stats = house.json("memory", "stats", "--agent", "mindful")
    assert (stats["entries"], stats["model"], stats["dimension"]) == (2, "all-MiniLM-L6-v2", 384)
    house("memory", "reindex")
    until(lambda: house.json("memory", "stats")["pending"] == 0, "the new embedding")


def test_what_is_wrong_with_a_request_is_told(house):
    status, _, problem = house.http("DELETE", "/memory")
    assert (status, problem["code"]) == (400, "parameter_invalid")
    status, _, problem = house.http("GET", "/memory?scope=agent")
    assert (status, problem["code"]) == (400, "parameter_invalid")
    status, _, problem = house.http("GET", "/memory/no-such-id")
    assert (status, problem["code"]) == (404, "memory_not_found")
    nul = json.dumps({"value": "a\0b", "scope": "agent", "owner": "mindful"})
    status, _, problem = house.http("POST", "/memory", nul, **{"content-type": "application/json"})
    assert (status, problem["code"]) == (422, "memory_invalid")
    (house.directory / "broken.jsonl").write_text('{"type": "entry"}\n')
    assert "broken.jsonl:1" in house("memory", "import", "broken.jsonl", fails=1)
    assert "--global" in house("memory", "add", "x", fails=2)
    assert "Say what to forget" in house("memory", "forget", "--yes", fails=2)


def test_a_conversation_that_is_kept_finds_what_left_its_window(cli):
    (cli.directory / "caxton.toml").write_text(SCRIPTED)
    (cli.directory / "lasting.toml").write_text(
        'name = "lasting"\nsystem_prompt = "x"\n[conversation]\nstrategy = "persist"\ncontext_window = 120\n'
        "[llm]\nmax_tokens = 20\n"
    )
    cli("server", "start")
    cli("create", "--config", "lasting.toml")
    cli.say("lasting", "The password of the safe is tulip.")
    for number in range(8):
        cli.say("lasting", f"Note {number}: the weather was mild and nothing much happened on that day at all.")
    reply = cli.say("lasting", "What was the password of the safe?")
    assert any("tulip" in text for text in recalled(cli, reply))
    elsewhere = cli.say("lasting", "What was the password of the safe?", conversation_id="elsewhere")
    assert recalled(cli, elsewhere) == []
    assert cli.json("memory", "list")["entries"]
    cli("conversation", "reset", "user:lasting", "--yes")
    assert cli.json("memory", "list")["entries"] == []
    assert recalled(cli, cli.say("lasting", "What was the password of the safe?")) == []


def test_of_a_person_who_is_erased_nothing_is_left_in_the_files_of_the_running_server(house):
    secret = "Xanthippe keeps her harpsichord in Vienna."
    # First, for the echo tells whoever speaks later what the agent remembers of everyone.
    house.say("mindful", FACT, sender="other")
    house.say("mindful", secret, sender="xanthippe")
    house.say("mindful", f"As I said: {secret}", sender="xanthippe", conversation_id="shared")
    data = house.directory / "data"

    def held() -> bytes:
        return b"".join(file.read_bytes() for file in data.rglob("*") if file.is_file()).lower()

    assert b"harpsichord" in held()
    assert "harpsichord" in json.dumps(house.json("memory", "list"))
    kept = house.json("person", "show", "xanthippe")
    assert (kept["memories"], {talk["id"] for talk in kept["conversations"]}) == (2, {"xanthippe:mindful", "shared"})
    gone = house.json("person", "forget", "xanthippe", "--yes")
    assert (gone["memories"], gone["conversations"], gone["messages"], gone["waiting"]) == (2, 2, 4, 0)
    assert b"orange" in held()
    for trace in (b"harpsichord", b"vienna", b"xanthippe"):
        assert trace not in held(), trace
    assert recalled(house, house.say("mindful", "What is my cat called?", sender="other")) == [FACT]
    house("server", "stop")
    house("server", "start")
    assert house.json("person", "show", "xanthippe")["conversations"] == []
    assert house.json("conversation", "show", "other:mindful")["conversation"]["messages"] == 4


def test_a_backend_that_cannot_be_reached_costs_recall_and_nothing_else(cli):
    away = SCRIPTED + '[memory]\nbackend = "qdrant"\nbackend_url = "http://127.0.0.1:9"\n'
    (cli.directory / "caxton.toml").write_text(away)
    cli("server", "start")
    create(cli)
    assert cli.say("mindful", FACT)["text"] == f"echo: {FACT}"
    assert recalled(cli, cli.say("mindful", "Which cat is orange?")) == []
    assert "cannot be reached" in cli.json("memory", "search", "cat")["warning"]
    assert "Queued meanwhile: 1." in cli.json("memory", "stats")["error"]
    parts = {part["name"]: part for part in cli.json("server", "status")["components"]}
    assert (parts["memory"]["status"], "Queued: 1." in parts["memory"]["detail"]) == ("degraded", True)
    assert "backend_url" in cli("memory", "forget", "--agent", "mindful", "--yes", fails=1)
    cli("server", "restart")
    assert "Queued meanwhile: 1." in cli.json("memory", "stats")["error"]


def test_an_embedder_that_cannot_be_had_costs_meaning_and_nothing_else(cli):
    (cli.directory / "caxton.toml").write_text(SCRIPTED + '[memory]\nweights = "gone.onnx"\ntokenizer = "gone.json"\n')
    cli("server", "start")
    create(cli)
    cli.say("mindful", FACT)
    answer = cli.json("memory", "search", "orange cat", "--agent", "mindful")
    assert [hit["entry"]["value"] for hit in answer["hits"]] == [FACT]
    assert answer["warning"]
    assert "gone.onnx" in cli.json("memory", "stats")["error"]
    assert recalled(cli, cli.say("mindful", "Which cat is orange?")) == [FACT]
