"""`kill -9` under load, again and again: what was acknowledged is there, and is answered once."""

import http.client
import json
import threading
from collections import Counter
from contextlib import closing

import psutil
import pytest
from support.server import SCRIPTED, Cli, until

AGENTS = ("ada", "bob", "cyd")
CLIENTS = 9
KILLS = 3
"""No more than a message is delivered again before it is given up."""
ENOUGH = 120
"""Messages acknowledged between a start and the kill."""
RULES = '[[rules]]\nmatch = "^slow"\ndelay = 0.3\n'


class Load:
    """Clients that send without pause until the server is gone. `acknowledged` has each message's text by its id."""

    def __init__(self, cli: Cli, round_: int) -> None:
        self.port = int(cli.url.rpartition(":")[2])
        self.round = round_
        self.acknowledged: dict[str, str] = {}
        self.threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()

    def _client(self, number: int) -> None:
        send = self._streamed if number % 3 == 0 else self._whole
        pace = "slow" if number % 3 == 0 else "quick"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            for count in range(100_000):
                # Every client has a conversation of its own, and a new one now and then.
                text, talk = f"{pace} {self.round}-{number}-{count}", f"talk {number} {count // 20}"
                try:
                    send(connection, AGENTS[number % len(AGENTS)], {"text": text, "conversation_id": talk})
                except (OSError, http.client.HTTPException):
                    return  # the server is gone

    def _whole(self, connection: http.client.HTTPConnection, agent: str, body: dict[str, str]) -> None:
        connection.request("POST", f"/agents/{agent}/message", json.dumps(body))
        answer = connection.getresponse()
        reply = json.loads(answer.read())
        assert answer.status == 200, reply
        assert reply["text"] == f"echo: {body['text']}"
        self.acknowledged[reply["in_reply_to"]] = body["text"]

    def _streamed(self, connection: http.client.HTTPConnection, agent: str, body: dict[str, str]) -> None:
        """Acknowledged with the first event: what comes then is up to the server, however often it dies."""
        connection.request("POST", f"/agents/{agent}/message", json.dumps(body), {"accept": "text/event-stream"})
        answer = connection.getresponse()
        assert answer.readline() == b"event: start\n"
        started = json.loads(answer.readline().removeprefix(b"data: "))
        self.acknowledged[started["in_reply_to"]] = body["text"]
        answer.read()


@pytest.fixture
def loaded(cli: Cli) -> Cli:
    (cli.directory / "rules.toml").write_text(RULES)
    (cli.directory / "caxton.toml").write_text(SCRIPTED + 'script = "rules.toml"\n')
    cli("server", "start")
    for name in AGENTS:
        (cli.directory / "agent.toml").write_text(f'name = "{name}"\nsystem_prompt = "You are {name}."\n')
        cli("create", "--config", "agent.toml")
    return cli


def test_no_acknowledged_message_is_lost_and_none_is_answered_twice(loaded):
    before = views(loaded)
    acknowledged: dict[str, str] = {}
    for round_ in range(KILLS):
        with Load(loaded, round_) as load:
            until(lambda load=load: len(load.acknowledged) >= ENOUGH, "enough load", 30)
            psutil.Process(loaded.pid()).kill()
        acknowledged |= load.acknowledged
        # Broken while nobody looks: the agent is back all the same, as it last was.
        (loaded.agents / f"{AGENTS[round_]}.toml").write_text("name = \n")
        loaded("server", "start")
        assert views(loaded) == before
    stored = until(lambda: all_settled(loaded), "that every message is answered", 30)
    requests = {one["id"]: one for one in stored if one["performative"] == "request"}
    assert {id: requests[id]["text"] for id in acknowledged if id in requests} == acknowledged
    assert {request["state"] for request in requests.values()} == {"settled"}
    replies = [one for one in stored if one["performative"] != "request"]
    assert Counter(reply["in_reply_to"] for reply in replies) == dict.fromkeys(requests, 1)
    assert all(reply["text"] == f"echo: {requests[reply['in_reply_to']]['text']}" for reply in replies)
    assert max(request["attempts"] for request in requests.values()) >= 1, "nothing was in flight when it was killed"
    for name in AGENTS:
        assert loaded.say(name, "Still there?")["text"] == "echo: Still there?"


def test_in_a_conversation_answers_keep_the_order_of_the_questions(loaded):
    """Those that were accepted before the kill, too."""
    sent = [f"slow {number}" for number in range(6)]
    asking = [
        threading.Thread(target=loaded.run, args=("message", "send", "ada", text, "--conversation", "ordered"))
        for text in sent
    ]
    for number, thread in enumerate(asking):
        thread.start()
        until(lambda number=number: len(requests_to_ada(loaded)) > number, "the acceptance", 30)
    psutil.Process(loaded.pid()).kill()
    for thread in asking:
        thread.join(30)
    loaded("server", "start")
    until(lambda: all_settled(loaded), "that every message is answered", 30)
    requests = requests_to_ada(loaded)
    replies = [one["text"] for one in messages(loaded, "ada") if one["performative"] == "inform"]
    assert sorted(requests) == sent
    assert replies == [f"echo: {text}" for text in requests]


def views(cli):
    """What of each agent outlives a server."""
    return {
        name: (agent["id"], agent["state"], agent["created_at"], agent["definition"])
        for name in AGENTS
        for agent in [cli.http("GET", f"/agents/{name}")[2]]
    }


def messages(cli, name):
    """All messages of an agent, oldest first."""
    found, before = [], ""
    while before is not None:
        page = cli.http("GET", f"/agents/{name}/messages?limit=1000{before}")[2]
        found += page["messages"]
        before = f"&before={page['next']}" if page["next"] else None
    return found[::-1]


def requests_to_ada(cli):
    return [one["text"] for one in messages(cli, "ada") if one["performative"] == "request"]


def all_settled(cli):
    """The messages of all agents, once none waits for its answer any more."""
    found = [message for name in AGENTS for message in messages(cli, name)]
    return found if all(message["state"] != "accepted" for message in found) else None
