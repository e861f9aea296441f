from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.histogram import ACCURACY, HIGHEST, LOWEST, Histogram, merged

SHARES = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
durations = st.floats(1e-6, 1e6)


def of(seconds: list[float]) -> Histogram:
    histogram = Histogram()
    for one in seconds:
        histogram.record(one)
    return histogram


def exact(seconds: list[float], share: float) -> float:
    return sorted(seconds)[max(1, ceil(share * len(seconds))) - 1]


@given(st.lists(durations, min_size=1, max_size=200))
def test_every_quantile_is_within_a_hundredth_of_the_exact_one(seconds):
    histogram = of(seconds)
    told = histogram.quantiles(SHARES)
    assert told == [pytest.approx(exact(seconds, share), rel=ACCURACY * 1.000001) for share in SHARES]
    assert told == sorted(told)
    assert (histogram.count, histogram.longest) == (len(seconds), max(seconds))
    assert histogram.total == pytest.approx(sum(seconds))


@given(st.lists(st.lists(durations, max_size=50), max_size=5))
def test_histograms_added_are_one_that_has_counted_everything(parts):
    whole, sums = of([one for part in parts for one in part]), merged(map(of, parts))
    assert (sums.buckets, sums.count, sums.longest) == (whole.buckets, whole.count, whole.longest)
    assert sums.quantiles(SHARES) == whole.quantiles(SHARES)


def test_of_nothing_every_quantile_is_nothing():
    assert Histogram().quantiles(SHARES) == [0.0] * len(SHARES)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-300, 1e300, float("inf")])
def test_what_is_out_of_range_takes_no_more_memory(seconds):
    histogram = of([seconds])
    assert LOWEST <= next(iter(histogram.buckets)) <= HIGHEST
    assert histogram.quantiles([1.0])[0] <= max(seconds, 0.0)


def test_it_never_has_more_buckets_than_there_are():
    histogram = of([1.01**power for power in range(-3000, 3000)])
    assert len(histogram.buckets) <= HIGHEST - LOWEST + 1 == 1612
