"""Tables, fields and times for people."""

import io
import os
import sys
import time

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.cli import tables
from caxton.cli.session import Session
from caxton.cli.tables import moment, print_fields, print_table

WORDS = st.text(st.sampled_from("ab é→ 日本\t\x1b\n"), max_size=40)
COLUMNS = ("NAME", "STATE", "WORDS")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of that many columns; what is shown on it."""

    def of(columns: int) -> Terminal:
        shown = Terminal()
        monkeypatch.setattr(sys, "stdout", shown)
        monkeypatch.setattr(tables.shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
        return shown

    return of


@pytest.fixture
def session():
    return Session(environ={})


def test_columns_are_as_wide_as_their_widest_cell(session, capsys):
    print_table(session, COLUMNS, [("a", "running", "one two"), ("longer-name", "failed", 3)])
    assert capsys.readouterr().out == (
        "NAME         STATE    WORDS\na            running  one two\nlonger-name  failed   3\n"
    )


def test_a_table_without_rows_is_its_head(session, capsys):
    print_table(session, COLUMNS, [])
    assert capsys.readouterr().out == "NAME  STATE  WORDS\n"


def test_a_pipe_gets_a_line_a_row_however_long(session, capsys):
    print_table(session, COLUMNS, [("a", "running", "word " * 100)])
    assert capsys.readouterr().out.splitlines()[1] == f"a     running  {('word ' * 100).rstrip()}"


def test_a_narrow_terminal_folds_words_and_leaves_names_whole(session, terminal):
    shown = terminal(60)
    print_table(session, COLUMNS, [("n" * 30, "running", "some words that do not fit there")])
    lines = click.unstyle(shown.getvalue()).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith("n" * 30 + "  running  some")
    assert " ".join(line[41:].strip() for line in lines[1:]) == "some words that do not fit there"


def test_states_and_heads_are_styled_where_that_is_seen(session, terminal):
    shown = terminal(80)
    print_table(session, COLUMNS, [("a", "failed", "b")])
    assert click.style("failed", fg="red", bold=True) in shown.getvalue()
    assert click.style("NAME", bold=True) in shown.getvalue()


@pytest.mark.parametrize("colorless", [{"NO_COLOR": "1"}, {}])
def test_nothing_is_styled_for_who_wants_no_colour(terminal, colorless):
    shown = terminal(80)
    session = Session(environ=colorless)
    if not colorless:
        session.color = False
    print_table(session, COLUMNS, [("a", "failed", "b")])
    print_fields(session, [("state", "failed")])
    assert "\x1b" not in shown.getvalue()


@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4), columns=st.integers(1, 70))
def test_no_cell_breaks_the_table_and_no_word_is_lost(rows, columns):
    shown = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", shown)
        patch.setattr(tables.shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
        print_table(Session(environ={"NO_COLOR": "1"}), COLUMNS, rows)
    text = shown.getvalue()
    assert "\x1b" not in text
    assert "\t" not in text
    letters = sorted(c for row in [COLUMNS, *rows] for cell in row for c in cell if c.isprintable() and c != " ")
    assert sorted(c for c in text if c not in " \n") == letters


def test_wide_characters_take_two_columns(session, capsys):
    print_table(session, ("A", "B"), [("日本", "x"), ("e\u0301", "y")])
    assert capsys.readouterr().out == "A     B\n日本  x\ne\u0301     y\n"


def test_fields_stand_below_each_other_and_empty_ones_are_left_out(session, capsys):
    print_fields(session, [("name", "a"), ("nothing", None), ("none", ""), ("count", 0), ("long name", "one\n\ttwo")])
    assert capsys.readouterr().out == "name       a\ncount      0\nlong name  one\n            two\n"
    print_fields(session, [])
    assert capsys.readouterr().out == ""


def test_fields_are_folded_on_a_terminal(session, terminal):
    shown = terminal(30)
    print_fields(session, [("prompt", "You are a helpful, friendly assistant.")])
    assert click.unstyle(shown.getvalue()) == "prompt  You are a helpful,\n        friendly assistant.\n"


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (86399, "23 h")]
)
def test_a_time_of_the_last_day_is_how_long_ago_it_was(seconds, said, monkeypatch):
    class Now(tables.datetime):
        @classmethod
        def now(cls, zone=None):
            return cls.fromtimestamp(1.8e9, zone)

    monkeypatch.setattr(tables, "datetime", Now)
    assert moment(1.8e9 - seconds) == f"{said} ago"


def test_a_time_before_that_is_its_date():
    at = time.time() - 100_000
    assert moment(at) == time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
    assert moment(None) == "never"
