"""Names and identifiers."""

import os
import re
from array import array
from collections.abc import Iterator

from caxton.domain.ports.clock import Clock

AGENT_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
AGENT_NAME_LENGTH = range(3, 65)
ANONYMOUS = "user"
"""The sender of a message whose sender did not say who it is."""


AHEAD = 512
"""Ids for which randomness is taken in at once."""
BITS = (1 << 62) - 1


def is_agent_name(name: str) -> bool:
    """Whether `name` is kebab-case of 3 to 64 characters."""
    return len(name) in AGENT_NAME_LENGTH and AGENT_NAME.fullmatch(name) is not None


def default_conversation(sender: str, agent: str) -> str:
    """The conversation that a sender and an agent carry on when the sender names none."""
    return f"{sender}:{agent}"


class IdSource:
    """Makes UUIDv7 strings (RFC 9562 §5.7), strictly increasing within one source.

    Milliseconds first, then a 12-bit counter (§6.2, method 1), then randomness; a spent counter borrows from the
    next millisecond, as does a clock that steps back. Randomness is the system's, taken in for many ids at once: asking
    for it costs more than all the rest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._random: Iterator[int] = iter(())

    def __call__(self) -> str:
        stamp = max(int(self._clock.now() * 1000) << 12, self._last + 1)
        self._last = stamp
        head = f"{stamp:015x}"
        tail = f"{self._bits() & BITS | 1 << 63:016x}"
        return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{tail[:4]}-{tail[4:]}"

    def _bits(self) -> int:
        """64 random bits."""
        for bits in self._random:
            return bits
        self._random = iter(array("Q", os.urandom(8 * AHEAD)))
        return next(self._random)
