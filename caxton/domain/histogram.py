"""How long things took: quantiles of a stream of durations, within 1 % and in bounded memory.

A duration is counted in one of buckets whose bounds grow by a constant factor, and a quantile is told as the middle of
the bucket that it lies in. Where the factor is (1 + a) / (1 - a), what is told is off by `a` times the value at most:
DDSketch (C. Masson, J. E. Rim, H. K. Lee, VLDB 2019, §2). Histograms are added by adding their buckets, and nothing is
lost by it.
"""

from collections.abc import Iterable, Sequence
from math import ceil, exp, log

ACCURACY = 0.01
GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
SCALE = 1 / log(GROWTH)
SHORTEST = 1e-7
"""Seconds; what is shorter counts as this long."""
LONGEST = 1e7
"""Seconds; what is longer counts as this long."""
LOWEST, HIGHEST = ceil(log(SHORTEST) * SCALE), ceil(log(LONGEST) * SCALE)
"""The numbers of the first and the last bucket: there are 1,612 at most."""


class Histogram:
    """Durations in seconds. Recording costs the same however many there are."""

    __slots__ = ("buckets", "longest", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.longest = 0.0
        self.buckets: dict[int, int] = {}

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def record(self, seconds: float) -> None:
        """Count one. Less than nothing, as a clock that was set back has it, is nothing."""
        if SHORTEST < seconds < LONGEST:
            index = ceil(log(seconds) * SCALE)
        else:
            index = LOWEST if seconds <= SHORTEST else HIGHEST
            seconds = max(0.0, seconds)
        try:
            self.buckets[index] += 1
        except KeyError:
            self.buckets[index] = 1
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds

    def add(self, other: "Histogram") -> None:
        """Count all that the other one has counted."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """For each share, in ascending order from 0 to 1, the duration that so many did not exceed; 0 where none is.

        That is the nearest rank, the value at place ⌈share * n⌉ of the sorted sample, within 1 % of it.
        """
        found: list[float] = []
        ordered = iter(sorted(self.buckets.items()))
        all_of_them = self.count
        index, passed = 0, 0
        for share in shares:
            rank = max(1, ceil(share * all_of_them))
            while passed < rank and all_of_them:
                index, count = next(ordered)
                passed += count
            found.append(min(_middle(index), self.longest) if all_of_them else 0.0)
        return found


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One that has counted what all of these have."""
    whole = Histogram()
    for one in histograms:
        whole.add(one)
    return whole


def _middle(index: int) -> float:
    """What is at most `ACCURACY` off from every value of a bucket, which ends at `GROWTH` to the power of its index."""
    return 2 * exp(index / SCALE) / (GROWTH + 1)
