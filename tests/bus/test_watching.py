"""Who is told what of the messages, and for whom nothing is made."""

from support.messages import a_request

from caxton.bus.feed import BusFeed
from caxton.bus.metrics import BusMetrics
from caxton.bus.watching import Watch
from caxton.domain.delivery import BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.observation import Filter
from caxton.testing.clock import FakeClock


class Seen:
    """Is always told."""

    def __init__(self):
        self.events = []

    def observe(self, event):
        self.events.append(event)


def happen(watch, message):
    watch.observe(BusEventKind.ACCEPTED, message)
    watch.start(message)
    watch.observe(BusEventKind.RETRIED, message, error=CaxtonError(Code.TURN_TIMEOUT, "Too late."))
    watch.end(message)


async def test_all_are_told_the_same_each_in_its_way():
    clock = FakeClock()
    metrics, feed, seen = BusMetrics(clock), BusFeed(clock), Seen()
    watch, message = Watch([metrics, feed, seen], clock), a_request(created_at=clock.now() - 2)
    happen(watch, message)
    with feed.read(Filter()) as reader:
        happen(watch, message)
        told = [await reader.next() for _ in range(4)][1:]
    assert [one.event for one in told] == seen.events[3:]
    assert [event.kind for event in seen.events] == ["accepted", "started", "retried"] * 2
    assert seen.events[1].waited == 2
    assert seen.events[2].error.code is Code.TURN_TIMEOUT
    assert seen.events[2].duration > 0
    flow = metrics.statistics({}).receivers["helper"]
    assert (flow.accepted, flow.started, flow.retried) == (2, 2, 2)
    assert (flow.waiting.longest, flow.handling.count) == (2, 2)


def test_where_all_are_asleep_or_count_no_event_is_made(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("caxton.bus.watching.BusEvent", None)  # which breaks if it is called
    watch = Watch([BusMetrics(clock), BusFeed(clock)], clock)
    assert watch.active
    happen(watch, a_request())
    assert not Watch([], clock).active
