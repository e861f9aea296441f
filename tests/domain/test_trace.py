import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.identifiers import IdSource
from caxton.domain.trace import Traceparent, read_traceparent, trace_id_of, traceparent
from caxton.testing.clock import FakeClock

# The example of the recommendation, §3.2.3.
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DIGITS = "0123456789abcdef"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=count, max_size=count).filter(lambda text: text.strip("0"))


parents = st.builds(Traceparent, digits(32), digits(16), st.sampled_from(["00", "01"]))
ids = st.one_of(st.uuids().map(str), st.text())


def test_the_example_of_the_recommendation_is_read():
    assert read_traceparent(GIVEN) == Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01")


@given(parents)
def test_what_is_written_is_read_as_it_was(parent):
    assert read_traceparent(str(parent)) == parent


@pytest.mark.parametrize(
    "text",
    [
        "",
        GIVEN.upper(),
        GIVEN[:-1],
        f" {GIVEN}",
        f"{GIVEN}\n",
        f"{GIVEN}-more",
        f"ff{GIVEN[2:]}",
        GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GIVEN.replace("00f067aa0ba902b7", "0" * 16),
    ],
)
def test_what_is_no_traceparent_is_none(text):
    assert read_traceparent(text) is None


@given(st.text(f"{DIGITS}-gF", max_size=60))
def test_whatever_comes_is_read_or_is_none(text):
    assert read_traceparent(text) is None or re.match(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", text)


def test_a_later_version_is_read_as_far_as_it_is_known():
    assert read_traceparent(f"01{GIVEN[2:]}-later") == read_traceparent(GIVEN)
    assert read_traceparent(f"{GIVEN[:-2]}ff").flags == "01"


@given(ids)
def test_a_first_message_begins_a_trace_that_it_is_found_under(message_id):
    trace = traceparent(message_id)
    assert read_traceparent(trace) is not None
    assert trace_id_of(message_id, trace) == trace_id_of(message_id, None) == trace.split("-")[1]


@given(st.lists(ids, min_size=1, max_size=10, unique=True), st.one_of(st.none(), parents.map(str), st.text()))
def test_all_that_one_message_leads_to_has_its_trace_id_and_spans_of_its_own(chain, header):
    first = trace = traceparent(chain[0], header)
    spans = {read_traceparent(first).span_id}
    for message_id in chain[1:]:
        trace = traceparent(message_id, trace)
        assert trace_id_of(message_id, trace) == trace_id_of(chain[0], first)
        assert read_traceparent(trace).flags == read_traceparent(first).flags
        spans.add(read_traceparent(trace).span_id)
    assert header is None or read_traceparent(header) is None or read_traceparent(header).trace_id in first
    # Ids of other makers may share their last half.
    assert len(spans) == len({traceparent(one).split("-")[2] for one in chain})


def test_the_trace_id_of_a_first_message_is_its_uuid():
    message_id = IdSource(FakeClock())()
    assert traceparent(message_id) == f"00-{message_id.replace('-', '')}-{message_id.replace('-', '')[16:]}-01"
