import json
import re
import threading
import time

import pytest

from caxton.cli.client import Client
from caxton.service.api import agents, messages
from caxton.service.api.messages import SendMessage


def test_the_figures_of_the_bus_are_shown(caxton, agent):
    caxton("message", "send", agent, "Hello")
    said = caxton.out("bus", "stats")
    assert re.search(r"messages +\d+ accepted, \d+ started, \d+ settled", said)
    assert re.search(r"handling +p50 \S+ .s, p90 ", said)
    [row] = [line for line in said.splitlines() if line.startswith(agent)]
    assert row.split()[1:8] == ["1", "1", "0", "0", "0", "1", "0"]


def test_the_figures_of_one_agent_are_for_programs_too(caxton, agent):
    for text in ("Hello", "Hello again"):
        caxton("message", "send", agent, text)
    caxton("message", "send", agent, "busy?", fails=1)
    told = caxton.json("bus", "stats", "--agent", agent)
    assert list(told["receivers"]) == [agent]
    assert (told["total"]["accepted"], told["total"]["settled"], told["total"]["failed"]) == (3, 2, 1)
    assert told["total"]["handling"]["count"] == 3
    assert 0 < told["total"]["handling"]["p50"] < 60
    assert told["total"]["arrivals"]["m1"] > 0


def test_an_agent_that_nothing_was_sent_to_has_no_figures(caxton, agent):
    assert "handling" not in caxton.out("bus", "stats", "--agent", agent)


def test_watching_looks_again_until_it_is_interrupted(caxton, agent, monkeypatch):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    assert caxton("bus", "stats", "--watch", fails=130).stdout.count("messages ") == 2
    assert pauses == [2.0, 2.0]


@pytest.fixture
def follow(caxton, agent, house):
    """The lines of `bus tail` about the agent, to which something is said again and again meanwhile."""

    def followed(*arguments):
        enough = threading.Event()

        def speak():
            while not enough.wait(0.01):
                Client(house).call(messages.SEND, path={"name": agent}, body=SendMessage(text="Hello"))

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            return caxton.out("bus", "tail", "--agent", agent, *arguments).splitlines()
        finally:
            enough.set()
            speaker.join(10)

    return followed


def test_what_happens_is_followed(follow, agent):
    lines = follow("--kind", "started,settled", "--limit", "4")
    assert [line.split(maxsplit=2)[1] for line in lines] in (
        ["started", "settled"] * 2,
        ["settled", "started", "settled", "started"],
    )
    assert all(re.fullmatch(rf"\d\d:\d\d:\d\d \w+ +request user → {agent}  Hello", line) for line in lines)


def test_programs_get_a_line_of_json_for_each_event(follow, agent):
    opened, event = map(json.loads, follow("--kind", "settled", "--limit", "1", "--output", "json"))
    assert opened["type"] == "open"
    assert (event["type"], event["kind"], event["message"]["receiver"]) == ("message", "settled", agent)
    assert event["reply"]["text"] == "echo: Hello"


def test_an_agents_changes_are_told(caxton, agent, house):
    enough = threading.Event()

    def restart():
        while not enough.wait(0.01):
            Client(house).call(agents.RESTART, path={"name": agent})

    restarting = threading.Thread(target=restart)
    restarting.start()
    lines = caxton.out("bus", "tail", "--agent", agent, "--limit", "2").splitlines()
    enough.set()
    restarting.join(10)
    assert all(re.search(rf" agent +{agent}: \w+ → \w+", line) for line in lines)
    assert len(lines) == 2


def test_what_is_missing_is_told(caxton):
    assert caxton.out("bus", "tail", "--after", "another-1", "--limit", "1") == "(some events are missing here)\n"


def test_a_word_that_nobody_knows_is_an_error(caxton):
    assert "Did you mean 'settled'?" in caxton.err("bus", "tail", "--kind", "setled", fails=2)
