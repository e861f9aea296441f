"""How often something happens: counts over the last 1, 5, 15 and 60 minutes.

Each window has a ring of buckets, a twelfth of the window each, and is what happened since the beginning of the oldest
of them: so the rate over the last minute is one over 60 to 65 seconds, and every event in it counts the same. (An
average that decays would be smaller, and would say something that nobody can count after it.)
"""

from collections.abc import Iterable

WINDOWS = (60, 300, 900, 3600)
"""Seconds."""
PARTS = 12
STEP = WINDOWS[0] // PARTS
"""Seconds; what happens within one step is counted together, and lies in one bucket of every window."""
WIDTHS = tuple(window // PARTS for window in WINDOWS)


class Rates:
    """Counts one kind of event. Times are in seconds since the epoch; one in the past counts as the newest so far."""

    __slots__ = ("_count", "_ends", "_rings", "_slot")

    def __init__(self) -> None:
        self._slot = -1
        """The step that is being counted."""
        self._count = 0
        self._rings: list[list[int]] = []
        self._ends = [0] * len(WIDTHS)
        """The newest bucket of each ring, counted from the epoch."""

    def record(self, at: float) -> None:
        if at // STEP > self._slot:
            self._move(at)
        self._count += 1

    def per_second(self, now: float) -> tuple[float, ...]:
        """The rate over each of the windows."""
        self._move(now)
        rates = []
        for number, width in enumerate(WIDTHS):
            counted = sum(self._rings[number]) if self._rings else 0
            # Where the clock was set back, the time that it stood at before is now.
            newest = max(now, self._slot * STEP)
            rates.append((counted + self._count) / (newest - begin_of(newest, width)))
        return tuple(rates)

    def _move(self, at: float) -> None:
        """Put what was counted into the rings, and go on to the step of a time, if that is later."""
        slot = int(at // STEP)
        if slot <= self._slot:
            return
        if self._count:
            if not self._rings:
                self._rings = [[0] * (PARTS + 1) for _ in WIDTHS]
            self._forward(self._slot)
            for ring, end in zip(self._rings, self._ends, strict=True):
                ring[end % (PARTS + 1)] += self._count
            self._count = 0
        self._slot = slot
        if self._rings:
            self._forward(slot)

    def _forward(self, slot: int) -> None:
        """Turn the rings on to the buckets of a step; those that they had there before are over."""
        for number, width in enumerate(WIDTHS):
            end = slot * STEP // width
            ring, last = self._rings[number], self._ends[number]
            for bucket in range(max(last + 1, end - PARTS), end + 1):
                ring[bucket % (PARTS + 1)] = 0
            self._ends[number] = max(last, end)


def begin_of(now: float, width: int) -> float:
    """When the oldest bucket of a ring begins."""
    return (now // width - PARTS) * width


def added(rates: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """The rate at which any of several things happen."""
    return tuple(sum(column) for column in zip(*rates, strict=True)) or (0.0,) * len(WINDOWS)
