"""Patterns of tool names."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.tool_pattern import ToolPatterns, pattern_problem

PIECES = st.text(alphabet="abc_-*", min_size=1, max_size=8)
NAMES = st.text(alphabet="abc_-.\n", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("files.read_file", "files.read_file", True),
        ("files.read_file", "files.read_files", False),
        ("files.read_file", "files.Read_File", False),
        ("files.read_*", "files.read_file", True),
        ("files.read_*", "files.read_", True),
        ("files.read_*", "files.write_file", False),
        ("files.*", "files.anything.at.all", True),
        ("files.*", "files2.read", False),
        ("files.*", "xfiles.read", False),
        ("*", "files.read", True),
        ("*.get", "http.get", True),
        ("*.get", "http.get_all", False),
        ("f*.r*d", "files.read", True),
        ("files.a+b", "files.aab", False),
        ("files.a.b", "files.axb", False),
        ("files.*", "files.two\nlines", True),
        ("files.[a-z]", "files.a", False),
    ],
)
def test_a_star_stands_for_anything_and_all_else_for_itself(pattern, name, matches):
    assert (ToolPatterns((pattern,)).match(name) == pattern) is matches


@given(server=PIECES, tool=PIECES, name=NAMES)
def test_patterns_match_what_shells_match(server, tool, name):
    pattern = f"{server}.{tool}"
    if pattern_problem(pattern):
        return
    assert (ToolPatterns((pattern,)).match(name) is not None) == fnmatch.fnmatchcase(name, pattern)


@given(st.lists(st.sampled_from(["files.*", "files.read_*", "*.get", "http.post", "*"]), max_size=5), NAMES)
def test_the_first_pattern_that_matches_is_named(patterns, name):
    first = next((p for p in patterns if ToolPatterns((p,)).match(name)), None)
    assert ToolPatterns(patterns).match(name) == first


def test_no_pattern_matches_nothing():
    assert ToolPatterns(()).match("files.read") is None
    assert not ToolPatterns(()).may_match_server("files")


@pytest.mark.parametrize(
    ("patterns", "server", "may"),
    [
        (("files.read_*",), "files", True),
        (("files.read_*",), "http", False),
        (("*.get",), "http", True),
        (("*",), "x", True),
    ],
)
def test_servers_that_cannot_matter_are_known(patterns, server, may):
    assert ToolPatterns(patterns).may_match_server(server) is may


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("files", "'files.*'"),
        ("", "server.tool"),
        ("files.", "'files.*'"),
        ("Files.read", "lower-case"),
        ("fi les.read", "lower-case"),
        (".read", "lower-case"),
    ],
)
def test_a_pattern_that_names_no_tool_is_explained(pattern, says):
    assert says in pattern_problem(pattern)
    with pytest.raises(ValueError, match=r"Write|expected"):
        ToolPatterns((pattern,))


def test_many_stars_do_not_cost_much():
    assert ToolPatterns(("files." + "*" * 200 + "x",)).match("files." + "a" * 200) is None
