"""What a server says about itself, for the log and for `caxton tool logs`."""

import logging
from collections import deque
from collections.abc import Callable

KEPT = 500
"""Lines kept of each server."""
LONGEST = 2_000
"""Characters kept of a line."""
PER_SECOND = 50
"""Lines that a server may put into our log in a second; all are still kept here."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127, *range(128, 160))}
"""Control characters, written out: they could forge lines of our log, or work on the terminal that shows it."""


class ServerLog:
    """The newest lines of one server. A flood of them costs memory and log space for a few only."""

    def __init__(self, server: str, now: Callable[[], float]) -> None:
        self._log = logging.getLogger(f"caxton.tools.server.{server}")
        self._now = now
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._second = 0
        self._written = 0

    def lines(self) -> list[str]:
        return list(self._lines)

    def heard(self, line: str) -> None:
        """Take a line that the server wrote to standard error."""
        self._take(logging.INFO, line.rstrip("\r\n"))

    def note(self, text: str, level: int = logging.WARNING) -> None:
        """Take something that we found out about the server."""
        self._take(level, text)

    def _take(self, level: int, text: str) -> None:
        line = text[:LONGEST].translate(_CONTROL)
        if len(text) > LONGEST:
            line += f" … ({len(text) - LONGEST} more characters)"
        self._lines.append(line)
        second = int(self._now())
        if second != self._second:
            if self._written > PER_SECOND:
                self._log.warning("%d more lines left out here", self._written - PER_SECOND)
            self._second, self._written = second, 0
        self._written += 1
        if self._written <= PER_SECOND:
            self._log.log(level, "%s", line)
