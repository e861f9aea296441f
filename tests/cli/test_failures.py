"""Errors as people and as programs are told them."""

import json

import click
import pytest

from caxton.cli.failures import show_diagnostic, show_error
from caxton.cli.session import Session
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import CODES, CaxtonError, Code, ConfigurationError

PROBLEM = Diagnostic(
    code="unknown_key",
    message="no key 'prot'",
    file="a.toml",
    line=2,
    column=1,
    length=4,
    source="prot = 1",
    hint="Port?",
)
NOTE = Diagnostic(code="no_effect", message="left empty", file="a.toml", severity=Severity.WARNING)


@pytest.fixture
def session():
    return Session(environ={})


def test_an_error_is_what_happened_why_and_the_next_step(session, capsys):
    show_error(session, CaxtonError(Code.INTERNAL, "It broke.", why="It was old.\nAnd worn.", hint="Buy another."))
    assert capsys.readouterr() == ("", "error: It broke.\n  It was old.\n  And worn.\nhint: Buy another.\n")


@pytest.mark.parametrize("code", list(Code))
def test_every_error_has_a_next_step(session, capsys, code):
    show_error(session, CaxtonError(code, "It broke."))
    assert capsys.readouterr().err == f"error: It broke.\nhint: {CODES[code].remedy}\n"


def test_a_configurations_error_is_all_its_diagnostics(session, capsys):
    show_error(session, ConfigurationError([PROBLEM, NOTE]))
    assert capsys.readouterr() == ("", f"{PROBLEM.render()}\n{NOTE.render()}\n")


def test_programs_are_told_all_there_is(session, capsys):
    session.output = "json"
    show_error(session, ConfigurationError([PROBLEM]))
    told = json.loads(capsys.readouterr().err)
    assert (told["code"], told["hint"]) == ("configuration_invalid", "Port?")
    assert told["docs"] == "tutorial/reference/errors.md#configuration_invalid"
    assert told["diagnostics"][0]["column"] == 1
    show_error(session, CaxtonError(Code.INTERNAL, "It broke.", why="It was old."))
    told = json.loads(capsys.readouterr().err)
    assert (told["code"], told["message"], told["why"], told["diagnostics"]) == (
        "internal",
        "It broke.",
        "It was old.",
        [],
    )


@pytest.mark.parametrize(("problem", "color"), [(PROBLEM, "\x1b[31m"), (NOTE, "\x1b[33m")])
def test_colour_marks_what_is_wrong_and_changes_no_word(session, monkeypatch, problem, color):
    shown = []
    monkeypatch.setattr(Session, "colored", True)
    monkeypatch.setattr(click, "echo", lambda text, err: shown.append(text))
    show_diagnostic(session, problem)
    assert color in shown[0]
    assert click.unstyle("\n".join(shown)) == problem.render()
    if problem.source:
        assert shown[2].startswith(color)
        assert "\x1b" not in shown[1]
