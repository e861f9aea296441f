"""The server's log: one line an event, to standard error or to whatever that is redirected to.

What an event says may come from anybody (a file's name, a model's answer): it cannot begin a line of its own, nor tell
a terminal what to do. The lines of a traceback follow their event, each behind a bar.
"""

import logging
import sys
import time
from typing import Any

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
NOISY = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "watchfiles", "asyncio")
"""Libraries whose debug lines drown ours, or hold what must not be logged (headers with keys)."""


class LineFormatter(logging.Formatter):
    """Times in UTC, so that the logs of several machines sort together; what is not printable is escaped."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return escaped(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(f"    | {escaped(line)}" for line in super().formatException(ei).splitlines())


def escaped(text: str) -> str:
    """The text as one line: what is not printable as it is written in a string, spaces at the end left out."""
    text = text.rstrip()
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error. `level` is debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
