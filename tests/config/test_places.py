"""Where the keys and values of a TOML text are."""

import pytest

from caxton.config.places import Places

TEXT = """\
# a = 0
a = 1
"b c".d = 'x' # comment
[e]
f.g = [
  1, # one
  { h = 2 },
]
[[i]]
j = 1
[[i]]
j = 2
[i.k]
l = '''
one
two'''
[e.m]
  "n\\u006f" = "日本"
"""


def marked(path, *, at_key=False, within="") -> tuple[int, str]:
    """The line and the text that a path leads to."""
    span = Places(TEXT).of(path, at_key=at_key, within=within)
    return span.line, TEXT.split("\n")[span.line - 1][span.column - 1 :][: span.length]


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("a",), (2, "a"), (2, "1")),
        (("b c", "d"), (3, "d"), (3, "'x'")),
        (("b c",), (3, '"b c"'), (3, '"b c"')),
        (("e",), (4, "e"), (4, "e")),
        (("e", "f"), (5, "f"), (5, "f")),
        (("e", "f", "g"), (5, "g"), (5, "[")),
        (("e", "f", "g", 0), (6, "1"), (6, "1")),
        (("e", "f", "g", 1, "h"), (7, "h"), (7, "2")),
        (("i", 0, "j"), (10, "j"), (10, "1")),
        (("i", 1, "j"), (12, "j"), (12, "2")),
        (("i", 1), (11, "i"), (11, "i")),
        (("i", 1, "k", "l"), (14, "l"), (14, "'''")),
        (("e", "m", "no"), (18, '"n\\u006f"'), (18, '"日本"')),
    ],
)
def test_a_path_leads_to_its_key_and_to_its_value(path, key, value):
    assert marked(path, at_key=True) == key
    assert marked(path) == value


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("e", "none"), (4, "e")),
        (("i", 1, "none"), (11, "i")),
        (("a", 5), (2, "a")),
        (("none",), (1, "#")),
        ((), (1, "#")),
    ],
)
def test_what_is_not_there_is_where_the_nearest_above_it_is(path, place):
    assert marked(path) == place


def test_a_part_of_a_value_is_found_in_its_own_line():
    assert marked(("i", 1, "k", "l"), within="two") == (16, "two")
    assert marked(("i", 1, "k", "l"), within="three") == (14, "'''")


def test_a_line_is_given_without_its_end():
    assert Places("a = 1\r\nb = 2\n").line(1) == "a = 1"
    assert Places("a = 1\nb = 2").line(2) == "b = 2"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a = 1\nb = 2\na = 3\n", 1),
        ("a = 1\n[a]\n", 1),
        ("a.b = 1\na.b.c = 2\n", 1),
        ("x = 0\n[a]\nb = 1\n[c]\n[a]\n", 2),
        ("\n[[a]]\nb = 1\n[a]\n", 2),
    ],
)
def test_a_statement_that_repeats_another_knows_its_line(text, first):
    begin, length, line = Places(text).repeated(len(text) - 1)
    assert line == first
    assert text[begin:][:length] in ("a", "a.b.c")


def test_a_statement_that_repeats_nothing_knows_of_no_line():
    assert Places("a = 1\n").repeated(5) == (0, 1, None)
    assert Places("").repeated(0) == (0, 1, None)
