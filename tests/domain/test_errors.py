"""The errors and their table."""

import pytest

from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import CODES, CaxtonError, Code, ConfigurationError


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_status_exit_title_and_remedy(code):
    info = CODES[code]
    assert 400 <= info.http < 600
    assert info.exit in (1, 2, 3)
    assert info.title
    assert info.remedy.endswith(".")


def test_an_error_without_a_hint_gives_the_remedy_of_its_code():
    assert CaxtonError(Code.MAILBOX_FULL, "full").hint == CODES[Code.MAILBOX_FULL].remedy
    assert CaxtonError(Code.MAILBOX_FULL, "full", hint="wait").hint == "wait"


def test_an_error_survives_being_written_down():
    error = CaxtonError(Code.TURN_TIMEOUT, "too slow", why="long prompt", hint="shorten")
    again = error.report().error()
    assert (again.code, again.message, again.why, again.hint) == (error.code, "too slow", "long prompt", "shorten")


def test_a_configuration_error_speaks_of_its_first_error_and_counts_the_others():
    warning = Diagnostic(code="no_effect_yet", message="later", file="a.toml", severity=Severity.WARNING)
    wrong = [
        Diagnostic(code="wrong_type", message=f"bad {n}", file="a.toml", line=n, column=1, hint="mend") for n in (3, 9)
    ]
    error = ConfigurationError([warning, *wrong])
    assert error.message == "a.toml:3:1: bad 3 (and 1 more)"
    assert error.hint == "mend"
    assert len(error.diagnostics) == 3
