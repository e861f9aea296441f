"""What went through the bus, in figures. Durations are in seconds, times in seconds since the epoch, UTC."""

from collections.abc import Mapping

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, `count` times. Quantiles are within 1 %, the mean and the longest are exact."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    longest: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How often a second, over the last 1, 5, 15 and 60 minutes, each up to a twelfth longer (`domain.rates`)."""

    m1: float
    m5: float
    m15: float
    m60: float


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What is in hand: `depth` messages of `limit`, those under way included, and `peak` at most so far.

    `stored` more wait in the store. Of all receivers together, `peak` is the highest that one of them had.
    """

    depth: int
    limit: int
    peak: int
    stored: int


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one receiver, or of all.

    Every attempt is `started`; a message ends as settled, failed or buried, and may be retried before. `waiting` is how
    long messages waited for their first or next attempt since they were made, `handling` how long the attempts took.
    """

    accepted: int
    started: int
    settled: int
    failed: int
    retried: int
    buried: int
    refused: int
    waiting: Latency
    handling: Latency
    arrivals: Rate
    ends: Rate
    queue: Queue


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, counted `since` a time. Receivers beyond those that are kept apart are in `total` alone."""

    since: float
    at: float
    total: Flow
    receivers: Mapping[str, Flow]
