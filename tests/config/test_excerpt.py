"""What is shown of the text that a problem is in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.config.excerpt import WIDEST, excerpt, point


def test_a_line_is_shown_as_it_is_and_all_of_what_is_meant():
    assert excerpt("\tname = 'Zoë'", 9, 5) == ("\tname = 'Zoë'", 5)


def test_of_a_long_line_the_beginning_is_shown_and_what_is_meant_of_it():
    line = "x" * (WIDEST + 50)
    assert excerpt(line, WIDEST, 20) == ("x" * WIDEST, 1)
    assert excerpt(line, WIDEST + 1, 20) == ("", 1)


@pytest.mark.parametrize("unseen", ["\x1b", "\x00", "\r", "\x7f", "\x9b", "\u202e", "\u2066", "\ud83d"])
def test_what_a_terminal_would_obey_or_hide_is_replaced_one_for_one(unseen):
    assert excerpt(f"a{unseen}b", 3, 1) == ("a\N{REPLACEMENT CHARACTER}b", 1)


@pytest.mark.parametrize(
    "line",
    [
        "api_key = 1",
        "'API-KEY' = 1",
        "apikey: 1",
        "openai_key=1",
        "password = 1",
        "client_secret = 1",
        "auth_token = 1",
    ],
)
def test_a_line_with_a_key_or_password_is_not_shown(line):
    assert excerpt(line, 1, 3) == ("", 1)


@pytest.mark.parametrize(
    "line", ["max_tokens = 1", 'api_key_env = "OPENAI_API_KEY"', "key = 1", "text = 'risk-averse'"]
)
def test_a_line_that_only_looks_like_it_is_shown(line):
    assert excerpt(line, 1, 3) == (line, 3)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=20), min_size=1), st.data())
def test_a_character_is_found_in_its_line_whatever_ends_the_lines(lines, data):
    number = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[number])))
    for newline in ("\n", "\r\n"):
        offset = sum(len(line) + len(newline) for line in lines[:number]) + column
        told = point("a.toml", newline.join(lines), offset, code="x", message="m")
        assert (told.line, told.column) == (number + 1, column + 1)
        assert len(told.source) in (0, len(lines[number]))
