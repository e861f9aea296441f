"""Names and identifiers."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource, default_conversation, is_agent_name


class StandingClock:
    def __init__(self, *times):
        self.times = list(times)

    def now(self):
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def test_an_id_is_a_uuid_version_7_of_now():
    made = uuid.UUID(IdSource(StandingClock(1_700_000_000.123))())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1_700_000_000_123


def test_ids_sort_by_the_time_of_making_even_within_a_millisecond():
    new_id = IdSource(StandingClock(1_700_000_000.0))
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(st.lists(st.floats(0, 2**37), min_size=2, max_size=50))
def test_ids_go_on_rising_when_the_clock_jumps(times):
    new_id = IdSource(StandingClock(*times))
    made = [new_id() for _ in times]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(one).version for one in made} == {7}


def test_two_sources_make_different_ids():
    clock = SystemClock()
    first, second = IdSource(clock), IdSource(clock)
    assert not {first() for _ in range(1000)} & {second() for _ in range(1000)}


@pytest.mark.parametrize("name", ["abc", "my-agent", "a1-b2-c3", "x" * 64, "007"])
def test_kebab_case_of_3_to_64_characters_is_a_name(name):
    assert is_agent_name(name)


@pytest.mark.parametrize(
    "name", ["", "ab", "x" * 65, "My-Agent", "my_agent", "-abc", "abc-", "a--b", "abc\n", "ábc", "a b c", "a/b", "..."]
)
def test_anything_else_is_not(name):
    assert not is_agent_name(name)


def test_the_default_conversation_belongs_to_sender_and_agent():
    assert default_conversation("ada", "helper") == "ada:helper"
