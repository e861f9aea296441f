"""Counters and latencies of the bus, kept for every receiver.

The whole is the sum of its receivers, taken when somebody asks: so that a message is counted once, which costs less
than a microsecond of all that is done for it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.histogram import Histogram, merged
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.clock import Clock
from caxton.domain.rates import Rates, added
from caxton.domain.statistics import Flow, Latency, Queue, Rate, Statistics

MOST = 20_000
"""Receivers that are kept apart. Those that come later are counted together."""
ACCEPTED, STARTED, SETTLED, FAILED, RETRIED, BURIED, REFUSED = BusEventKind
SHARES = (0.5, 0.9, 0.95, 0.99)


class Mailboxes(Protocol):
    """Who has a mailbox; `bus.directory.Directory` is one."""

    def find(self, address: str) -> Mailbox | None: ...

    def addresses(self) -> Collection[str]: ...


class Counters:
    """What is counted of one receiver."""

    __slots__ = (
        "accepted",
        "arrivals",
        "buried",
        "ends",
        "failed",
        "handling",
        "peak",
        "refused",
        "retried",
        "settled",
        "started",
        "waiting",
    )

    def __init__(self) -> None:
        self.accepted = self.started = self.settled = self.failed = self.retried = self.buried = self.refused = 0
        self.peak = 0
        self.waiting, self.handling = Histogram(), Histogram()
        self.arrivals, self.ends = Rates(), Rates()


class BusMetrics:
    """Implements `ports.bus.BusCounter`, and `ports.observation.Metrics` for those who ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.now()
        self._counters: dict[str, Counters] = {}
        self._others = Counters()
        self._find: Callable[[str], Mailbox | None] = lambda address: None
        self._addresses: Callable[[], Collection[str]] = tuple

    def watch(self, mailboxes: Mailboxes) -> None:
        """Have the depths of these mailboxes told. Until then nobody has one."""
        self._find, self._addresses = mailboxes.find, mailboxes.addresses

    def observe(self, event: BusEvent) -> None:
        self.count(event.kind, event.message.receiver, event.at, event.waited, event.duration)

    def count(self, kind: BusEventKind, receiver: str, at: float, waited: float | None, duration: float | None) -> None:
        counters = self._counters.get(receiver) or self._new(kind, receiver)
        if kind is ACCEPTED:
            counters.accepted += 1
            counters.arrivals.record(at)
            if (mailbox := self._find(receiver)) and (depth := mailbox.depth) > counters.peak:
                counters.peak = depth
            return
        if kind is STARTED:
            counters.started += 1
            if waited is not None:
                counters.waiting.record(waited)
            return
        if duration is not None:
            counters.handling.record(duration)
        if kind is SETTLED:
            counters.settled += 1
        elif kind is FAILED:
            counters.failed += 1
        elif kind is BURIED:
            counters.buried += 1
        elif kind is RETRIED:
            counters.retried += 1
            return
        else:
            counters.refused += 1
            return
        counters.ends.record(at)

    def statistics(self, waiting: Mapping[str, int], *, receiver: str | None = None) -> Statistics:
        """The figures of now; of one receiver alone where it is named. `waiting` is who has how many in the store."""
        names = [receiver] if receiver else sorted({*self._counters, *self._addresses(), *waiting})
        counted = {name: self._counters.get(name) or Counters() for name in names}
        now = self._clock.now()
        queues = {name: self._queue(name, one, waiting.get(name, 0)) for name, one in counted.items()}
        everything = counted.values() if receiver else (*counted.values(), self._others)
        return Statistics(
            since=self._since,
            at=now,
            total=_flow(everything, now, _whole(queues.values())),
            receivers={name: _flow((one,), now, queues[name]) for name, one in counted.items()},
        )

    def _new(self, kind: BusEventKind, receiver: str) -> Counters:
        """The counters of a receiver that has none yet. A name that nobody has is not worth keeping."""
        if kind is REFUSED or len(self._counters) >= MOST:
            return self._others
        return self._counters.setdefault(receiver, Counters())

    def _queue(self, name: str, counters: Counters, waiting: int) -> Queue:
        mailbox = self._find(name)
        depth, limit = (mailbox.depth, mailbox.limit) if mailbox else (0, 0)
        return Queue(depth=depth, limit=limit, peak=max(depth, counters.peak), stored=max(0, waiting - depth))


def _whole(queues: Collection[Queue]) -> Queue:
    return Queue(
        depth=sum(one.depth for one in queues),
        limit=sum(one.limit for one in queues),
        peak=max((one.peak for one in queues), default=0),
        stored=sum(one.stored for one in queues),
    )


def _flow(counters: Iterable[Counters], now: float, queue: Queue) -> Flow:
    every = list(counters)
    return Flow(
        accepted=sum(one.accepted for one in every),
        started=sum(one.started for one in every),
        settled=sum(one.settled for one in every),
        failed=sum(one.failed for one in every),
        retried=sum(one.retried for one in every),
        buried=sum(one.buried for one in every),
        refused=sum(one.refused for one in every),
        waiting=_latency(one.waiting for one in every),
        handling=_latency(one.handling for one in every),
        arrivals=_rate(one.arrivals.per_second(now) for one in every),
        ends=_rate(one.ends.per_second(now) for one in every),
        queue=queue,
    )


def _latency(histograms: Iterable[Histogram]) -> Latency:
    whole = merged(histograms)
    count = whole.count
    p50, p90, p95, p99 = whole.quantiles(SHARES)
    mean = whole.total / count if count else 0.0
    return Latency(count=count, mean=mean, p50=p50, p90=p90, p95=p95, p99=p99, longest=whole.longest)


def _rate(rates: Iterable[tuple[float, ...]]) -> Rate:
    m1, m5, m15, m60 = added(rates)
    return Rate(m1=m1, m5=m5, m15=m15, m60=m60)
