import logging
import re
import sys
from unittest.mock import ANY

import pytest

from caxton.telemetry.logs import NOISY, configure_logging


@pytest.fixture
def written(capsys):
    """What was written to standard error since it was last asked. Afterwards logging is as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield lambda: capsys.readouterr().err
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_line_says_when_how_grave_and_where(written):
    configure_logging("info")
    logging.getLogger("caxton.test").warning("something %s", "happened")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING caxton\.test: something happened\n", written())


def test_times_are_in_utc(written):
    configure_logging("info")
    record = logging.LogRecord("caxton", logging.INFO, "", 0, "hello", None, None)
    record.created, record.msecs = 86400.5, 500.0
    assert logging.getLogger().handlers[0].format(record).startswith("1970-01-02T00:00:00.500Z")


@pytest.mark.parametrize(("level", "lines"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_left_out(written, level, lines):
    configure_logging(level)
    log = logging.getLogger("caxton.test")
    for grade in (log.debug, log.info, log.warning, log.error):
        grade("hello")
    assert written().count("hello") == lines


@pytest.mark.parametrize("name", NOISY)
def test_noisy_libraries_are_heard_from_warnings_on(written, name):
    configure_logging("debug")
    logging.getLogger(name).info("headers with keys")
    logging.getLogger(name).warning("a warning")
    said = written()
    assert "headers" not in said
    assert "a warning" in said


@pytest.mark.parametrize("name", NOISY)
def test_they_are_no_louder_than_we_are(written, name):
    configure_logging("error")
    logging.getLogger(name).warning("a warning")
    assert written() == ""


def test_configuring_twice_writes_every_line_once(written):
    configure_logging("info")
    configure_logging("info")
    logging.getLogger("caxton.test").info("hello")
    assert written().count("hello") == 1


def test_what_no_encoding_can_hold_breaks_no_line(written, tmp_path, monkeypatch):
    with (tmp_path / "log").open("w", encoding="utf-8", errors="backslashreplace") as file:
        monkeypatch.setattr(sys, "stderr", file)
        configure_logging("info")
        logging.getLogger("caxton.test").info("%s", "\udcff.toml")
    assert r"\udcff.toml" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred\x07\r", r"\x1b[31mred\x07"),
        ("a\u2028b\u202ec\x85d", r"a\u2028b\u202ec\x85d"),
        ("héllo ✓ → 你好", "héllo ✓ → 你好"),
        ("ends in spaces  ", "ends in spaces"),
    ],
)
def test_an_event_is_one_line_whatever_it_says(written, said, line):
    configure_logging("info")
    logging.getLogger("caxton.test").info("%s", said)
    assert written().split("caxton.test: ") == [ANY, f"{line}\n"]


def test_a_traceback_follows_its_event_and_cannot_be_taken_for_another(written):
    configure_logging("info")
    error = ValueError("bad\n2026-01-01T00:00:00.000Z INFO caxton: all is well\x1b[2J")
    logging.getLogger("caxton.test").error("it failed", exc_info=error)
    event, *traceback = written().splitlines()
    assert event.endswith("it failed")
    assert [line for line in traceback if not line.startswith("    | ")] == []
    assert traceback[-1] == r"    | 2026-01-01T00:00:00.000Z INFO caxton: all is well\x1b[2J"
