"""What all commands share: which server is meant, colours, questions."""

import os
import sys
import time

import click
import pytest

from caxton.cli.session import Session
from caxton.process import pidfile
from caxton.process.pidfile import Instance


@pytest.fixture
def environ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {"CAXTON_DATA_DIR": str(tmp_path), "CAXTON_PORT": "8123"}


@pytest.fixture
def running(tmp_path):
    """A server of that data directory: this process, as far as anybody can see."""
    me = Instance(pid=os.getpid(), url="http://127.0.0.1:9", version="1", started_at=time.time(), data_dir="x")
    with pidfile.hold(tmp_path / "server.pid", me):
        yield me


def test_without_a_server_its_address_would_be_that_of_the_settings(environ):
    assert Session(environ).url() == "http://127.0.0.1:8123"


def test_a_server_that_runs_is_found_wherever_it_listens(environ, running):
    assert Session(environ).url() == running.url


@pytest.mark.usefixtures("running")
def test_a_server_that_is_named_is_the_one_that_is_meant(environ):
    session = Session({**environ, "CAXTON_URL": "http://there/"})
    assert session.url() == "http://there"
    session.flags["url"] = "http://elsewhere"
    assert session.url() == "http://elsewhere"


@pytest.mark.parametrize(
    ("stdout", "environ", "flag", "colored"),
    [
        (True, {}, None, True),
        (True, {"NO_COLOR": ""}, None, True),
        (True, {"NO_COLOR": "1"}, None, False),
        (True, {}, False, False),
        (False, {}, None, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(monkeypatch, stdout, environ, flag, colored):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout, raising=False)
    session = Session(environ)
    session.color = flag
    assert session.colored is colored


@pytest.mark.parametrize(
    ("stdin", "stdout", "output", "interactive"),
    [
        (True, True, None, True),
        (False, True, None, False),
        (True, False, None, False),
        (True, True, "json", False),
    ],
)
def test_a_person_sits_at_both_ends_or_at_none(monkeypatch, stdin, stdout, output, interactive):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: stdin, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: stdout, raising=False)
    session = Session({})
    session.output = output
    assert session.interactive is interactive


def test_who_said_yes_is_not_asked(environ):
    Session(environ).confirm("Erase it?", yes=True)
    with pytest.raises(click.UsageError, match="--yes"):
        Session(environ).confirm("Erase it?", yes=False)


@pytest.mark.parametrize("words", [["agent", "list"], ["server", "status"], ["agent", "show", "nobody-here"]])
def test_nothing_is_coloured_in_a_pipe(caxton, words):
    result = caxton(*words, fails=1 if "show" in words else 0, color=True)
    assert "\x1b" not in result.output
