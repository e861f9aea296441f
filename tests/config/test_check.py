"""Words that teach: how a value is shown."""

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caxton.config.check import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (0.5, "0.5"),
        ("a'b", '"a\'b"'),
        ("two\nlines\x1b", r"'two\nlines\x1b'"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(7, 8, 9), "07:08:09"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (["a", 1], "['a', 1]"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_a_value_is_shown_as_the_file_has_it(value, text):
    assert shown(value) == text


@settings(max_examples=50)
@given(
    st.recursive(
        st.text() | st.integers() | st.floats() | st.binary(min_size=100),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_the_value_is_it_is_shown_in_one_short_line(value):
    assert len(shown(value)) <= 60
    assert "\n" not in shown(value)
