"""The three agents of examples/collaboration at work: the real server, the real embedded model, over HTTP."""

import json
from pathlib import Path

import pytest
from support.server import SCRIPTED, until

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "collaboration"
TEAM = ["researcher", "writer", "reviewer"]


def post(server, path, **body):
    status, _, answer = server.http("POST", path, json.dumps(body))
    assert status in (200, 201, 202), answer
    return answer


def heard(server, reply):
    """What the model was sent for a reply: the system prompt, and the rest."""
    status, _, trace = server.http("GET", f"/messages/{reply['in_reply_to']}/trace")
    assert status == 200
    system, *rest = [message["content"] for message in trace["prompt"]]
    return system, rest


@pytest.fixture
def team(server):
    for name in TEAM:
        server("create", "--config", str(EXAMPLE / f"{name}.toml"))
    return server


def test_three_agents_hand_their_work_on(team):
    group = post(team, "/conversations", participants=TEAM, people=["ada"], id="report", order="in-turn", title="Tea")
    assert [one["name"] for one in group["participants"]] == [*TEAM, "ada"]

    # Each is given what those before it said, by name, and is told who the others are.
    answer = post(team, "/conversations/report/message", text="The topic is tea.", sender="ada")
    assert [(one["agent"], one["error"]) for one in answer["replies"]] == [(name, None) for name in TEAM]
    replies = [one["reply"] for one in answer["replies"]]
    assert all(reply["text"].strip() and reply["provider"] == "local" for reply in replies)
    facts, draft, review = (reply["text"] for reply in replies)
    assert heard(team, replies[0])[1] == ["ada: The topic is tea."]
    assert heard(team, replies[1])[1] == [f"ada: The topic is tea.\n\nresearcher: {facts}"]
    system, rest = heard(team, replies[2])
    assert rest == [f"ada: The topic is tea.\n\nresearcher: {facts}\n\nwriter: {draft}"]
    assert "You are reviewer." in system
    assert "writer (writes a short text from facts)" in system

    # The next message goes on from there; one that is away does not stop the others.
    team("agent", "stop", "researcher")
    answer = post(team, "/conversations/report/message", text="Shorter, please.", sender="ada")
    assert [one["error"] and one["error"]["code"] for one in answer["replies"]] == ["agent_not_running", None, None]
    assert heard(team, answer["replies"][1]["reply"])[1] == [
        f"ada: The topic is tea.\n\nresearcher: {facts}",
        draft,
        f"reviewer: {review}\n\nada: Shorter, please.",
    ]

    # It is all there after a restart, and is read as one talk.
    team("server", "stop")
    team("server", "start")
    shown = team("conversation", "show", "report")
    assert [line.split()[0] for line in shown.splitlines() if line.endswith("ago")].count("ada") == 2
    assert draft.strip().splitlines()[0] in shown
    assert team.json("conversation", "show", "report")["conversation"]["group"]["title"] == "Tea"

    # Erased is erased: who took part, and what was said.
    assert team.http("DELETE", "/people/ada")[2]["participations"] == 1
    assert team.http("GET", "/conversations/report")[0] == 404


def test_replies_stream_with_the_names_of_those_who_speak(team):
    post(team, "/conversations", participants=TEAM, id="report")
    status, headers, text = team.http(
        "POST", "/conversations/report/message", json.dumps({"text": "Say hello."}), Accept="text/event-stream"
    )
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n", 1) for block in text.strip().split("\n\n")]
    events = [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for kind, data in blocks if data]
    whole = events[-1]
    assert whole[0] == "replies"
    assert [one["agent"] for one in whole[1]["replies"]] == TEAM
    for name in TEAM:
        own = [(kind, event) for kind, event in events[:-1] if event["agent"] == name]
        kinds = [kind for kind, _ in own]
        assert kinds == ["start", *["delta"] * (len(own) - 2), "reply"]
        assert "".join(event["text"] for _, event in own[1:-1]) == own[-1][1]["reply"]["text"]


RULES = r"""
[[rules]]
match = '^hand over (\S+) (.+)$'
call = "messaging__send"
arguments = { to = "{1}", text = "{2}", performative = "request" }
"""


@pytest.fixture
def office(cli):
    """Three agents that echo, of which `asker` may send messages, in a conversation that it does not begin."""
    (cli.directory / "rules.toml").write_text(RULES)
    (cli.directory / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    cli.agents.mkdir(parents=True)
    for name in ("asker", "alpha", "beta"):
        tools = '["messaging.send"]' if name == "asker" else "[]"
        (cli.agents / f"{name}.toml").write_text(f'name = "{name}"\nsystem_prompt = "You echo."\ntools = {tools}\n')
    cli("server", "start")
    post(cli, "/conversations", participants=["alpha", "asker", "beta"], id="team")
    return cli


def said(server, id="team"):
    """Who said what to whom in a conversation."""
    shown = server.json("conversation", "show", id)
    return {(one["sender"], one["receiver"], one["text"]) for one in shown["messages"]}


def test_what_an_agent_says_to_its_group_is_answered_there(office):
    assert "Sent to alpha, beta." in office("message", "send", "asker", "hand over group:team Who is there?")
    expected = {("asker", name, "Who is there?") for name in ("alpha", "beta")}
    expected |= {(name, "asker", "echo: asker: Who is there?") for name in ("alpha", "beta")}
    until(lambda: said(office) >= expected, "the answers")
    answer = post(office, "/conversations/team/message", text="Go on", sender="ada")
    heard_by_alpha = heard(office, answer["replies"][0]["reply"])[1]
    assert heard_by_alpha[:2] == ["asker: Who is there?", "echo: asker: Who is there?"]
    assert "beta: echo: asker: Who is there?" in heard_by_alpha[2]
    assert heard_by_alpha[2].endswith("ada: Go on")


def test_what_a_program_posts_to_a_group_is_answered_there(office):
    post(office, "/messages", performative="request", sender="ada", receiver="group:team", content={"text": "Hello"})
    expected = {(name, "ada", "echo: ada: Hello") for name in ("alpha", "asker", "beta")}
    until(lambda: said(office) >= expected, "the answers")
    office("conversation", "close", "team")
    status, _, problem = office.http(
        "POST",
        "/messages",
        json.dumps({"performative": "request", "sender": "ada", "receiver": "group:team", "content": {"text": "Hi"}}),
    )
    assert (status, problem["code"]) == (404, "conversation_not_found")
