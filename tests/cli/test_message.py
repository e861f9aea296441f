"""`caxton message`."""

import pytest

from caxton.cli.client import Client
from caxton.service.api.messages import ReplyDelta


def test_an_answer_is_its_text_alone_in_a_pipe(caxton, agent):
    result = caxton("message", "send", agent, "Hello")
    assert (result.stdout, result.stderr) == ("echo: Hello\n", "")


def test_an_answer_is_the_whole_reply_for_programs(caxton, agent):
    reply = caxton.json("message", "send", agent, "Hello")
    assert (reply["text"], reply["agent"], reply["conversation_id"]) == ("echo: Hello", agent, f"user:{agent}")
    assert reply["provider"] == "scripted"


def test_a_message_sent_again_with_its_key_is_answered_once(caxton, agent):
    first, second = (caxton.json("message", "send", agent, "Hello", "--idempotency-key", "k") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_the_text_may_come_from_standard_input(caxton, agent, arguments):
    assert caxton.out("message", "send", agent, *arguments, stdin="Two\nlines\n") == "echo: Two\nlines\n\n"


@pytest.mark.parametrize("stdin", ["", " \n"])
def test_no_text_is_wrong_usage(caxton, agent, stdin):
    assert "There is no text to send." in caxton.err("message", "send", agent, stdin=stdin, fails=2)


def test_text_that_is_not_utf_8_is_told(caxton, agent):
    said = caxton.err("message", "send", agent, stdin=b"caf\xe9", fails=2)
    assert "not UTF-8 from character 4 on" in said
    assert "iconv" in said


@pytest.mark.usefixtures("person")
def test_a_person_who_types_is_told_how_to_end(caxton, agent):
    result = caxton("message", "send", agent, stdin="Hello")
    assert "Ctrl-D" in result.stderr
    assert result.stdout == "echo: Hello\n"


@pytest.mark.usefixtures("person")
def test_a_person_sees_the_answer_as_it_comes(caxton, agent, monkeypatch):
    seen = []
    stream = Client.stream

    def watched(self, *arguments, **keywords):
        for event in stream(self, *arguments, **keywords):
            seen.append(event)
            yield event

    monkeypatch.setattr(Client, "stream", watched)
    assert caxton.out("message", "send", agent, "Hello you") == "echo: Hello you\n"
    assert len([event for event in seen if isinstance(event, ReplyDelta)]) > 1


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_an_answer_does_nothing_to_the_terminal(caxton, agent, option):
    assert caxton.out("message", "send", agent, "\x1b[2J", option) == "echo: \ufffd[2J\n"


@pytest.mark.parametrize("option", ["--stream", "--no-stream"])
def test_in_a_pipe_an_answer_stays_as_it_is(caxton, agent, option):
    assert caxton.out("message", "send", agent, "ring\x07", option) == "echo: ring\x07\n"


def test_streaming_and_waiting_say_the_same(caxton, agent):
    assert caxton.out("message", "send", agent, "Hello", "--stream") == "echo: Hello\n"
    assert caxton.out("message", "send", agent, "Hello", "--no-stream") == "echo: Hello\n"


def test_programs_get_the_whole_reply_even_if_they_ask_for_a_stream(caxton, agent):
    assert caxton.json("message", "send", agent, "Hello", "--stream")["text"] == "echo: Hello"


def test_a_conversation_may_be_named(caxton, agent):
    assert caxton.json("message", "send", agent, "Hello", "--conversation", "here")["conversation_id"] == "here"
    new = caxton.json("message", "send", agent, "Hello", "--conversation", "new")["conversation_id"]
    assert new not in ("here", "new", f"user:{agent}")


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_a_providers_error_is_told_with_its_hint(caxton, agent, mode):
    said = caxton.err("message", "send", agent, "busy?", mode, fails=1)
    assert said.startswith("error: ")
    assert "\nhint: " in said


def test_the_list_has_a_line_a_message_newest_first(caxton, agent):
    caxton("message", "send", agent, "Hello " * 30)
    head, first, second = caxton.out("message", "list", agent).splitlines()
    assert head.split() == ["ID", "WHEN", "FROM", "TO", "ACT", "STATE", "TEXT"]
    assert "echo: Hello" in first
    assert " user " in second
    assert second.endswith("…")


def test_the_list_is_paged_for_programs(caxton, agent):
    caxton("message", "send", agent, "One")
    caxton("message", "send", agent, "Two", "--conversation", "other")
    page = caxton.json("message", "list", agent, "--limit", "1")
    rest = caxton.json("message", "list", agent, "--before", page["next"])
    assert [m["text"] for m in page["messages"] + rest["messages"]] == ["echo: Two", "Two", "echo: One", "One"]
    only = caxton.json("message", "list", agent, "--conversation", "other")["messages"]
    assert [m["text"] for m in only] == ["echo: Two", "Two"]


def test_a_message_is_shown_with_all_there_is_of_it(caxton, agent):
    reply = caxton.json("message", "send", agent, "Hello")
    said = caxton.out("message", "show", reply["id"])
    for part in (reply["id"], reply["in_reply_to"], "inform", "settled", "echo: Hello", f"user:{agent}"):
        assert part in said
    assert caxton.json("message", "show", reply["id"])["text"] == "echo: Hello"


def test_a_failure_is_shown_with_its_error(caxton, agent):
    caxton("message", "send", agent, "busy?", fails=1)
    failure = caxton.json("message", "list", agent)["messages"][0]
    assert failure["content"]["error"]["message"] in caxton.out("message", "show", failure["id"])
    assert "(failure: " in caxton.out("message", "list", agent)


def test_a_turn_shows_what_the_model_was_sent(caxton, agent):
    request = caxton.json("message", "send", agent, "Hello")["in_reply_to"]
    said = caxton.out("message", "turn", request)
    assert [line.split("  ")[-1].strip() for line in said.splitlines()][-3:] == ["You echo.", "Hello", "echo: Hello"]
    assert caxton.json("message", "turn", request)["prompt"][-1]["content"] == "Hello"


def test_a_trace_shows_what_a_message_led_to(caxton, agent):
    reply = caxton.json("message", "send", agent, "Hello")
    for id in (reply["id"], reply["in_reply_to"]):
        asked, answered, *_, more = caxton.out("message", "trace", id).splitlines()
        assert asked.startswith(f"request user → {agent}: Hello  [settled, 0.")
        assert answered.startswith(f"└─ inform {agent} → user: echo: Hello  [")
        assert more == f"What a model was sent: caxton message turn {reply['in_reply_to']}"
        tree = caxton.json("message", "trace", id)
        assert [node["depth"] for node in tree["nodes"]] == [0, 1]
        assert tree["complete"]


@pytest.mark.parametrize("verb", ["show", "trace", "turn"])
def test_a_message_that_is_not_there_is_an_error(caxton, verb):
    assert "error: " in caxton.err("message", verb, "nonsense", fails=1)
