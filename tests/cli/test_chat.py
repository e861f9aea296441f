"""`caxton chat`: with a person at a terminal, and with a program at a pipe."""

import json
import threading
from contextlib import contextmanager

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from support.http import EVENTS

from caxton.cli.chat import HELP
from caxton.cli.client import Client
from caxton.server.sse import event_encoder
from caxton.service.api import messages
from caxton.service.api.messages import ReplyDelta

encode_reply_event = event_encoder(messages.SEND)

CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
VIEW = {
    "id": "1",
    "name": "my-agent",
    "state": "running",
    "provider": "local",
    "file": "",
    "created_at": 0,
    "definition": {"name": "my-agent", "system_prompt": "x"},
    "activity": {},
    "last_reload": {"at": 0, "outcome": "applied"},
}


@contextmanager
def typing(keys: str):
    """A terminal where these keys are pressed."""
    with create_pipe_input() as terminal, create_app_session(input=terminal, output=DummyOutput()):
        terminal.send_text(keys)
        yield


@pytest.fixture
def talk(caxton, agent, person):
    """Talks with the agent by pressing keys; what was shown after the greeting, and on standard error."""

    def talked(keys: str, *arguments: str) -> tuple[str, str]:
        with typing(keys):
            result = caxton("chat", agent, *arguments)
        greeting, _, rest = result.stdout.partition("\n")
        assert greeting == f"{agent} on scripted. /help lists commands, Ctrl-D leaves."
        return rest, result.stderr

    return talked


def test_lines_are_answered_until_the_end_of_input(talk):
    assert talk(f"Hello\rHow are you?\r{CTRL_D}") == ("echo: Hello\necho: How are you?\n", "")


@pytest.mark.parametrize("word", ["/quit", "/exit", "/quit "])
def test_a_command_ends_the_talk(talk, word):
    assert talk(f"{word}\rHello\r") == ("", "")


def test_nothing_is_sent_for_an_empty_line(talk):
    assert talk(f"\r  \r{CTRL_D}") == ("", "")


def test_ctrl_c_drops_the_line_and_not_the_talk(talk):
    assert talk(f"Unfinished{CTRL_C}Hello\r{CTRL_D}") == ("echo: Hello\n", "")


def test_a_line_may_be_had_again_in_the_next_talk(talk, tmp_path):
    (tmp_path / "data").mkdir()
    talk(f"Hello\r{CTRL_D}")
    assert talk(f"{UP}\r{CTRL_D}") == ("echo: Hello\n", "")


def test_help_lists_every_command(talk):
    shown, _ = talk(f"/help\r{CTRL_D}")
    assert shown == f"{HELP}\n"
    assert [line.split()[0] for line in HELP.splitlines()] == ["/history", "/reset", "/new", "/help", "/quit"]


def test_a_command_that_is_none_is_told_with_those_there_are(talk):
    assert talk(f"/histroy\rHello\r{CTRL_D}") == ("echo: Hello\n", f"There is no command /histroy.\n{HELP}\n")


def test_history_shows_what_was_said_before(talk):
    talk(f"One\r{CTRL_D}")
    shown, _ = talk(f"/history\r{CTRL_D}")
    assert [line for line in shown.splitlines() if line and "ago" not in line] == ["One", "echo: One"]


def test_new_begins_another_conversation_and_keeps_this_one(talk, caxton, agent):
    shown, _ = talk(f"One\r/new\r/history\rTwo\rThree\r/history\r{CTRL_D}")
    assert "Nothing was said yet." in shown
    assert "One" not in shown.partition("Nothing was said yet.")[2]
    assert shown.count("echo: Three") == 2
    said = [m["text"] for m in caxton.json("agent", "history", agent)]
    assert said == ["One", "echo: One"]


def test_reset_erases_this_conversation(talk, caxton, agent):
    talk(f"One\r{CTRL_D}", "--conversation", "other")
    shown, _ = talk(f"Two\r/reset\r/history\r/reset\r{CTRL_D}")
    assert shown.count("The conversation begins afresh.") == 2
    assert "Nothing was said yet." in shown
    assert caxton.json("agent", "history", agent) == []
    assert len(caxton.json("agent", "history", agent, "--conversation", "other")) == 2


def test_an_error_ends_the_turn_and_not_the_talk(talk):
    shown, errors = talk(f"busy?\rHello\r{CTRL_D}")
    assert shown == "echo: Hello\n"
    assert errors.startswith("error: ")
    assert "hint: " in errors


def test_an_agent_that_is_stopped_ends_the_turn_and_not_the_talk(talk, caxton, agent):
    caxton("agent", "stop", agent)
    shown, errors = talk(f"Hello\r/history\r{CTRL_D}")
    assert "is stopped" in errors
    assert shown == "Nothing was said yet.\n"


def test_no_agent_is_told_at_once(caxton, agent):
    assert "Did you mean" in caxton.err("chat", f"{agent}x", fails=1)


def test_no_server_is_told_at_once(apart):
    assert "No Caxton server answers" in apart.err("chat", "somebody", fails=3)


def serve_talk(raw, *pieces):
    """Have the raw server show an agent, then stream these pieces."""
    body = json.dumps(VIEW).encode()
    raw.pieces = [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body),
        lambda: raw.streams(*pieces),
    ]


@pytest.mark.usefixtures("person")
def test_ctrl_c_stops_an_answer_and_not_the_talk(raw, apart, interrupt, monkeypatch):
    shown = threading.Event()
    stream = Client.stream

    def watched(self, *arguments, **keywords):
        for event in stream(self, *arguments, **keywords):
            yield event
            if isinstance(event, ReplyDelta):
                shown.set()

    monkeypatch.setattr(Client, "stream", watched)
    serve_talk(raw, *(encode_reply_event(event) for event in EVENTS[:2]), lambda: shown.wait(30) and interrupt())
    with typing("Tell me a story\r/quit\r"):
        result = apart("chat", "my-agent")
    assert result.stdout.endswith("leaves.\nHello")
    assert "stopped listening" in result.stderr


@pytest.mark.usefixtures("person")
def test_an_answer_that_breaks_off_ends_its_line(raw, apart):
    serve_talk(raw, *(encode_reply_event(event) for event in EVENTS[:2]))
    with typing(f"Hello\r{CTRL_D}"):
        result = apart("chat", "my-agent")
    assert result.stdout.endswith("leaves.\nHello\n")
    assert "broke" in result.stderr


def test_lines_from_a_pipe_are_answered_one_by_one(caxton, agent):
    result = caxton("chat", agent, stdin="One\n\nTwo\n")
    assert (result.stdout, result.stderr) == ("echo: One\necho: Two\n", "")


def test_a_last_line_without_its_end_is_answered(caxton, agent):
    assert caxton.out("chat", agent, stdin="One") == "echo: One\n"


def test_programs_get_a_reply_a_line(caxton, agent):
    lines = caxton.out("chat", agent, "--output", "json", stdin="One\nTwo\n").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["echo: One", "echo: Two"]


def test_an_error_ends_a_talk_by_pipe_and_is_told_once(caxton, agent):
    result = caxton("chat", agent, stdin="busy?\nHello\n", fails=1)
    assert result.stdout == ""
    assert result.stderr.count("error: ") == 1


def test_a_line_that_is_not_utf_8_is_told(caxton, agent):
    result = caxton("chat", agent, stdin=b"Hello\ncaf\xe9\n", fails=2)
    assert result.stdout == "echo: Hello\n"
    assert "not UTF-8" in result.stderr
