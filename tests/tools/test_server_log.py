"""What a server says about itself."""

import logging

from caxton.tools.server_log import KEPT, LONGEST, PER_SECOND, ServerLog


def test_the_newest_lines_are_kept():
    log = ServerLog("files", lambda: 0.0)
    for number in range(KEPT + 5):
        log.heard(f"line {number}\n")
    assert log.lines()[0] == "line 5"
    assert len(log.lines()) == KEPT


def test_a_long_line_is_cut_and_says_so():
    log = ServerLog("files", lambda: 0.0)
    log.heard("x" * (LONGEST + 7))
    assert log.lines() == ["x" * LONGEST + " … (7 more characters)"]


def test_control_characters_cannot_forge_lines_or_colour_terminals():
    log = ServerLog("files", lambda: 0.0)
    log.heard("ok\x1b[31m\nERROR all is lost\r\n")
    assert log.lines() == ["ok\\x1b[31m\\x0aERROR all is lost"]


def test_a_flood_is_thinned_out_second_by_second(caplog):
    caplog.set_level(logging.INFO)
    seconds = [0.0]
    log = ServerLog("files", lambda: seconds[0])
    for _ in range(PER_SECOND + 100):
        log.heard("x")
    assert len(caplog.records) == PER_SECOND
    seconds[0] = 1.0
    log.heard("later")
    assert [record.getMessage() for record in caplog.records[-2:]] == ["100 more lines left out here", "later"]
