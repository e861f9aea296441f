from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.rates import PARTS, WIDTHS, WINDOWS, Rates, added, begin_of

START = 1_800_000_000.0
gaps = st.one_of(st.floats(0, 2), st.floats(0, 120), st.floats(0, 10_000))


def exact(times: list[float], now: float) -> tuple[float, ...]:
    """What the module says the rates are, counted one by one."""
    begins = [begin_of(now, width) for width in WIDTHS]
    return tuple(sum(at >= begin for at in times) / (now - begin) for begin in begins)


@given(st.lists(gaps, max_size=60), gaps)
def test_the_rates_are_those_that_one_gets_by_counting(pauses, later):
    rates, times, now = Rates(), [], START
    for pause in pauses:
        now += pause
        rates.record(now)
        times.append(now)
        assert rates.per_second(now) == exact(times, now)
    assert rates.per_second(now + later) == exact(times, now + later)
    assert rates.per_second(now + 4000) == (0.0,) * len(WINDOWS)


@given(st.floats(START, START + 10_000))
def test_a_window_is_at_most_a_twelfth_longer_than_it_says(now):
    for window, width in zip(WINDOWS, WIDTHS, strict=True):
        assert window <= now - begin_of(now, width) <= window + window / PARTS


@given(st.lists(st.floats(-10_000, 10_000), min_size=1, max_size=30))
def test_with_a_clock_that_is_set_back_nothing_is_counted_twice_or_lost(jumps):
    rates, now, newest = Rates(), START, START
    for jump in jumps:
        now += jump
        newest = max(newest, now)
        rates.record(now)
    told = rates.per_second(now)
    assert all(0 <= rate * window <= len(jumps) for rate, window in zip(told, WINDOWS, strict=True))
    assert told[0] > 0 or newest > now


def test_a_steady_flow_has_the_same_rate_in_every_window():
    rates = Rates()
    for tick in range(4 * 3600 * 2):
        rates.record(START + tick / 4)
    assert all(abs(rate - 4) < 0.1 for rate in rates.per_second(START + 2 * 3600))


def test_the_rates_of_several_are_added():
    assert added([(1.0, 2.0, 3.0, 4.0), (0.5, 0.5, 0.5, 0.5)]) == (1.5, 2.5, 3.5, 4.5)
    assert added([]) == (0.0, 0.0, 0.0, 0.0)
