"""`caxton logs`."""

import os
import signal
import subprocess
import sys

import pytest

from caxton.cli import logs as module
from caxton.cli.logs import _following


@pytest.fixture
def log(tmp_path):
    (tmp_path / "data").mkdir()
    log = tmp_path / "data" / "server.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(1, 101)))
    return log


@pytest.fixture
def follow(apart, tmp_path, log):
    """Follows the log by the command, in a process of its own."""
    started = []

    def followed(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "caxton", "logs", "--follow", *arguments],
            cwd=tmp_path,
            env={**os.environ, **apart.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield followed
    for process in started:
        with process:
            process.kill()


@pytest.mark.usefixtures("log")
def test_the_last_lines_are_shown(apart):
    assert apart.out("logs").splitlines() == [f"line {number}" for number in range(51, 101)]
    assert apart.out("logs", "-n", "2").splitlines() == ["line 99", "line 100"]
    assert len(apart.out("logs", "-n", "1000").splitlines()) == 100
    assert apart.out("logs", "-n", "0") == ""


def test_what_is_no_text_does_no_harm(apart, log):
    log.write_bytes(b"caf\xe9 \xff\n")
    assert apart.out("logs") == "caf\ufffd \ufffd\n"


def test_another_servers_log_is_named_by_its_data_directory(apart, tmp_path, log):
    log.rename(tmp_path / "server.log")
    assert apart.out("logs", "-n", "1", "--data-dir", str(tmp_path)) == "line 100\n"


def test_no_log_is_told_with_where_it_may_be(apart, tmp_path):
    said = apart.err("logs", fails=1)
    assert str(tmp_path / "data" / "server.log") in said
    assert "foreground" in said


@pytest.mark.parametrize("lines", ["-1", "many"])
def test_a_number_of_lines_that_is_none_is_wrong_usage(apart, lines):
    assert "--lines" in apart.err("logs", "--lines", lines, fails=2)


def test_lines_are_shown_as_they_come(follow, log):
    process = follow("-n", "1")
    assert process.stdout.readline() == "line 100\n"
    for number in range(3):
        with log.open("a") as file:
            file.write(f"new {number}\n")
        assert process.stdout.readline() == f"new {number}\n"


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent otherwise on Windows")
def test_ctrl_c_ends_following_without_a_word_of_python(follow):
    process = follow("-n", "1")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_a_log_that_was_emptied_is_shown_from_its_beginning(log):
    coming = _following(log, log.stat().st_size)
    log.write_text("anew\n")
    assert next(coming) == "anew\n"


def test_a_log_that_was_put_anew_is_shown_from_its_beginning(log, tmp_path):
    coming = _following(log, log.stat().st_size)
    (tmp_path / "next").write_text("anew\n")
    (tmp_path / "next").replace(log)
    assert next(coming) == "anew\n"


def test_a_character_that_comes_in_two_pieces_is_shown_whole(log, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0.001)
    coming = _following(log, log.stat().st_size)
    shown = ""
    for byte in "é→\n".encode():
        with log.open("ab") as file:
            file.write(bytes([byte]))
        shown += next(coming)
    assert shown == "é→\n"
