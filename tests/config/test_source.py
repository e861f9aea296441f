"""Reading a file as text: what cannot be read says why, and where."""

import os
from pathlib import Path

import pytest

from caxton.config.source import LARGEST, read_source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError

TEXT = 'name = "helper"\nauthor = "Zoë"\n'


@pytest.fixture
def file(tmp_path):
    return tmp_path / "agent.toml"


def refused(path) -> Diagnostic:
    with pytest.raises(ConfigurationError) as failure:
        read_source(path)
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.file == str(path)
    assert diagnostic.is_error
    return diagnostic


def test_a_text_is_read_as_it_is(file):
    text = '\tname = "日本"\r\n\n  # Zoë 🎉\n'
    file.write_bytes(text.encode())
    source = read_source(file)
    assert (source.path, source.text) == (str(file), text)


def test_a_byte_order_mark_is_no_part_of_the_text(file):
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert read_source(file).text == TEXT


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("utf-16", "UTF-16"), ("utf-32", "UTF-32")],
)
def test_another_unicode_encoding_is_named(file, encoding, words):
    file.write_bytes(TEXT.encode(encoding))
    problem = refused(file)
    assert (problem.code, problem.line, problem.hint) == ("encoding", 0, "Save it as UTF-8.")
    assert words in problem.message


@pytest.mark.parametrize("mark", [b"\xfe\xff", b"\0\0\xfe\xff"])
def test_a_byte_order_mark_of_the_other_order_is_known_too(file, mark):
    file.write_bytes(mark + TEXT.encode("utf-16-be"))
    assert refused(file).code == "encoding"


@pytest.mark.parametrize(
    ("data", "place", "source"),
    [
        (TEXT.encode("latin-1"), (2, 13), 'author = "Zo\N{REPLACEMENT CHARACTER}"'),
        (b"\xff = 1\n", (1, 1), "\N{REPLACEMENT CHARACTER} = 1"),
        ('x = "ë"\r\ny = "'.encode() + b'\x80"\r\n', (2, 6), 'y = "\N{REPLACEMENT CHARACTER}"'),
        (b'x = "\xe2\x82', (1, 6), 'x = "\N{REPLACEMENT CHARACTER}'),
        (b'x = "\xed\xa0\x80"', (1, 6), 'x = "' + "\N{REPLACEMENT CHARACTER}" * 3 + '"'),
    ],
    ids=["Latin-1", "first byte", "Windows lines", "cut off", "surrogate"],
)
def test_a_byte_that_is_not_utf_8_is_shown_at_its_place(file, data, place, source):
    file.write_bytes(data)
    problem = refused(file)
    assert (problem.code, (problem.line, problem.column), problem.source) == ("encoding", place, source)
    assert problem.render().splitlines()[2].endswith(f"{' ' * problem.column}^")
    assert "is not UTF-8" in problem.message
    assert problem.hint == "Save the file as UTF-8."


def test_a_zero_byte_is_no_text(file):
    file.write_bytes(b'name = "a"\nx = "\0"\n')
    problem = refused(file)
    assert (problem.code, problem.line, problem.column) == ("encoding", 2, 6)
    assert problem.source == 'x = "\N{REPLACEMENT CHARACTER}"'
    assert "UTF-16" in problem.hint


def test_utf_16_without_a_mark_is_found_by_its_zero_bytes(file):
    file.write_bytes(TEXT.encode("utf-16-le"))
    problem = refused(file)
    assert (problem.code, problem.line, problem.column) == ("encoding", 1, 2)


def test_a_wrong_byte_beside_a_key_does_not_show_the_key(file):
    file.write_bytes(b'api_key = "hunter2\xff"\n')
    assert "hunter2" not in refused(file).render()


@pytest.mark.parametrize("data", [b"", b" ", b"\n\n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_says_what_to_begin_with(file, data):
    file.write_bytes(data)
    problem = refused(file)
    assert (problem.code, problem.line) == ("empty_file", 0)
    assert "caxton template list" in problem.hint


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_not(file):
    file.write_bytes(b"#" * LARGEST)
    assert len(read_source(file).text) == LARGEST
    file.write_bytes(b"#" * (LARGEST + 1))
    problem = refused(file)
    assert (problem.code, problem.line) == ("too_large", 0)
    assert str(LARGEST) in problem.message


def test_a_directory_is_no_file(tmp_path):
    problem = refused(tmp_path)
    assert (problem.code, problem.message) == ("unreadable", "this is a directory, not a file")


def test_a_file_that_is_not_there_is_unreadable(file):
    problem = refused(file)
    assert problem.code == "unreadable"
    assert "No such file" in problem.message


def test_a_name_that_no_file_can_have_is_unreadable(tmp_path):
    assert refused(tmp_path / "a\0.toml").code == "unreadable"


def test_the_systems_own_words_say_why_a_file_is_unreadable(file, monkeypatch):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    file.write_text(TEXT)
    monkeypatch.setattr(Path, "open", refuse)
    problem = refused(file)
    assert (problem.code, problem.message) == ("unreadable", "the file cannot be read: Input/output error")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold for this user")
def test_a_file_that_may_not_be_read_is_unreadable(file):
    file.write_text(TEXT)
    file.chmod(0)
    problem = refused(file)
    assert problem.code == "unreadable"
    assert "Permission denied" in problem.message


def test_a_loop_of_links_is_unreadable(file):
    try:
        file.symlink_to(file)
    except OSError:
        pytest.skip("symbolic links cannot be made here")
    assert refused(file).code == "unreadable"
