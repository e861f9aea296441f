"""Text of others on a terminal."""

import pytest

from caxton.cli.failures import show_error
from caxton.cli.harmless import harmless
from caxton.cli.session import Session
from caxton.domain.errors import CaxtonError, Code


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07all gone", "\ufffd[2J\ufffdall gone"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\x9b31mred\u202e", "\ufffd31mred\ufffd"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("héllo\xa0✓ 你好 👨\u200d👩", "héllo\xa0✓ 你好 👨\u200d👩"),
    ],
)
def test_what_a_terminal_would_obey_is_replaced_and_all_else_stays(text, shown):
    assert harmless(text) == shown


def test_an_error_cannot_paint_the_terminal(capsys):
    show_error(Session(environ={}), CaxtonError(Code.INTERNAL, "\x1b[2J", why="\x1b[1m", hint="\x1b[0m"))
    assert "\x1b" not in capsys.readouterr().err
