"""The server's log: one line an event, to standard error or to whatever that is redirected to."""

import logging
import sys
import time

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
NOISY = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "watchfiles", "asyncio")
"""Libraries whose debug lines drown ours, or hold what must not be logged (headers with keys)."""


class UtcFormatter(logging.Formatter):
    """Times in UTC, so that the logs of several machines sort together."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def configure_logging(level: str) -> None:
    """Send the log of this process to standard error. `level` is debug, info, warning or error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(UtcFormatter(FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
