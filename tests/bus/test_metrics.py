from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.messages import a_request

from caxton.bus import metrics as module
from caxton.bus.metrics import BusMetrics
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.testing.clock import FakeClock

KINDS = list(BusEventKind)
ENDS = ("settled", "failed", "buried")


class Box:
    """A mailbox as the metrics see one."""

    def __init__(self, depth=0, limit=10):
        self.depth = depth
        self.limit = limit


class Boxes(dict):
    find = dict.get

    def addresses(self):
        return self.keys()


events = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(["ada", "bob", "cyd"]),
        st.floats(0, 100),
        st.floats(0.001, 1000),
    ),
    max_size=60,
)


def happen(metrics, kind, to="ada", at=1_800_000_000.0, waited=None, duration=None):
    metrics.count(kind, to, at, waited, duration)


@given(events)
def test_everything_is_counted_once_for_its_receiver_and_once_in_all(story):
    clock = FakeClock()
    metrics, start = BusMetrics(clock), clock.now()
    now = start
    for kind, to, pause, seconds in story:
        now += pause
        took = {"waited" if kind is BusEventKind.STARTED else "duration": seconds}
        happen(metrics, kind, to, now, **took)
    clock._now = now
    told = metrics.statistics({})
    for kind in KINDS:
        assert getattr(told.total, kind) == sum(one[0] is kind for one in story)
        for name, flow in told.receivers.items():
            known = [one for one in story if one[1] == name]
            if kind is not BusEventKind.REFUSED:
                assert getattr(flow, kind) == sum(one[0] is kind for one in known)
    waited = sorted(seconds for kind, _, _, seconds in story if kind is BusEventKind.STARTED)
    assert told.total.waiting.count == len(waited)
    if waited:
        assert told.total.waiting.p90 == pytest.approx(waited[ceil(0.9 * len(waited)) - 1], rel=0.011)
        assert told.total.waiting.mean == pytest.approx(sum(waited) / len(waited))
        assert told.total.waiting.longest == waited[-1]
    assert (told.total.ends.m60 > 0) == any(kind in ENDS for kind, *_ in story[-30:]) or now - start > 3000


def test_an_event_counts_as_well():
    metrics, message = BusMetrics(FakeClock()), a_request(agent="ada")
    metrics.observe(BusEvent(kind=BusEventKind.SETTLED, at=1_800_000_000.0, message=message, duration=2.0))
    flow = metrics.statistics({}).receivers["ada"]
    assert (flow.settled, flow.handling.longest) == (1, 2.0)


def test_rates_fall_with_time():
    clock = FakeClock()
    metrics = BusMetrics(clock)
    for _ in range(130):
        happen(metrics, BusEventKind.ACCEPTED, at=clock.now())
    clock._now += 60
    assert 1.9 < metrics.statistics({}).total.arrivals.m1 <= 130 / 60
    clock._now += 60
    rates = metrics.statistics({}).total.arrivals
    assert rates.m1 == 0
    assert rates.m5 == pytest.approx(130 / 300, rel=0.1)
    assert rates.m60 == pytest.approx(130 / 3600, rel=0.1)


def test_depths_and_peaks_are_those_of_the_mailboxes():
    metrics, boxes = BusMetrics(FakeClock()), Boxes(ada=Box(3), bob=Box(7, 100), idle=Box())
    metrics.watch(boxes)
    happen(metrics, BusEventKind.ACCEPTED, "ada")
    happen(metrics, BusEventKind.ACCEPTED, "bob")
    boxes["ada"].depth = 1
    boxes["bob"].depth = 9
    told = metrics.statistics({"ada": 5, "gone": 2})
    queues = {name: flow.queue for name, flow in told.receivers.items()}
    assert [(name, one.depth, one.limit, one.peak, one.stored) for name, one in queues.items()] == [
        ("ada", 1, 10, 3, 4),
        ("bob", 9, 100, 9, 0),
        ("gone", 0, 0, 0, 2),
        ("idle", 0, 10, 0, 0),
    ]
    assert (told.total.queue.depth, told.total.queue.limit, told.total.queue.peak, told.total.queue.stored) == (
        10,
        120,
        9,
        6,
    )


def test_one_receiver_may_be_asked_for_alone():
    metrics = BusMetrics(FakeClock())
    happen(metrics, BusEventKind.SETTLED, "ada", duration=1.0)
    happen(metrics, BusEventKind.SETTLED, "bob", duration=5.0)
    told = metrics.statistics({}, receiver="ada")
    assert list(told.receivers) == ["ada"]
    assert told.total == told.receivers["ada"]
    assert told.total.handling.p50 == pytest.approx(1.0, rel=0.01)


def test_names_that_nobody_has_take_no_memory():
    metrics = BusMetrics(FakeClock())
    for number in range(1000):
        happen(metrics, BusEventKind.REFUSED, f"nobody-{number}")
    told = metrics.statistics({})
    assert told.receivers == {}
    assert told.total.refused == 1000


def test_beyond_so_many_receivers_they_are_counted_together(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    metrics = BusMetrics(FakeClock())
    for name in ("ada", "bob", "cyd", "dan", "ada"):
        happen(metrics, BusEventKind.ACCEPTED, name)
    told = metrics.statistics({})
    assert {name: flow.accepted for name, flow in told.receivers.items()} == {"ada": 2, "bob": 1}
    assert told.total.accepted == 5
