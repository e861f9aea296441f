"""Durations and sizes as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.config.units import read_duration, read_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("60s", 60.0),
        ("2m", 120.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("90d", 7_776_000.0),
        ("1d12h", 129_600.0),
        ("1h1m1s1ms", 3661.001),
        ("0.5s", 0.5),
        ("500ms", 0.5),
        (" 5s ", 5.0),
        (45, 45.0),
        (1.5, 1.5),
        (-1, -1.0),
    ],
)
def test_a_duration_is_read_in_seconds(written, seconds):
    assert read_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    ["", " ", "60", "s", "1x", "2w", "1s1m", "1.5m", "-1s", "1 m", "٣s", "1h 5m", True, None, [], math.inf, math.nan],
)
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(ValueError, match="1m30s"):
        read_duration(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512MB", 512_000_000),
        ("512M", 512_000_000),
        ("1GiB", 1 << 30),
        ("1gib", 1 << 30),
        ("1.5KB", 1500),
        ("2 TB", 2 * 10**12),
        ("100", 100),
        ("100B", 100),
        (4096, 4096),
    ],
)
def test_a_size_is_read_in_bytes(written, size):
    assert read_size(written) == size


@pytest.mark.parametrize("written", ["", "MB", "1XB", "1iB", "-1MB", "1e3", "٣MB", "1 M B", True, 1.5, None, "9" * 400])
def test_what_is_no_size_is_refused(written):
    with pytest.raises(ValueError, match="512MB"):
        read_size(written)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours, minutes, seconds, milliseconds):
    written = f"{hours}h{minutes}m{seconds}s{milliseconds}ms"
    assert read_duration(written) == pytest.approx(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_whatever_is_written_is_a_number_or_refused(written):
    for read in (read_duration, read_size):
        try:
            assert math.isfinite(read(written)) or len(str(written)) > 300
        except ValueError as error:
            assert "written like" in str(error)  # noqa: PT017 - both ways are right
