"""What is shown while one waits."""

import io
import sys

import pytest

from caxton.cli.session import Session
from caxton.cli.waiting import changing, waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch, stream, output=None) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    session = Session({})
    session.output = output
    with pytest.raises(ZeroDivisionError), waiting(session, "Waiting"):
        1 / 0  # noqa: B018
    return stream.getvalue()


def test_a_terminal_says_what_is_waited_for_and_wipes_it_away(monkeypatch):
    assert shown(monkeypatch, Terminal()) == f"Waiting …\r{' ' * 9}\r"


def test_nothing_is_said_to_programs_and_pipes(monkeypatch):
    assert shown(monkeypatch, Terminal(), "json") == ""
    assert shown(monkeypatch, io.StringIO()) == ""


def told(monkeypatch, stream, output=None) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    session = Session({})
    session.output = output
    with changing(session) as say:
        say("ten of them")
        say("one")
    return stream.getvalue()


def test_a_line_that_changes_covers_what_it_was_and_is_wiped_away(monkeypatch):
    assert told(monkeypatch, Terminal()) == f"\rten of them …\rone …{' ' * 8}\r{' ' * 13}\r"


def test_a_line_that_changes_is_for_terminals_only(monkeypatch):
    assert told(monkeypatch, Terminal(), "json") == ""
    assert told(monkeypatch, io.StringIO()) == ""
