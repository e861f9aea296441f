import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.bus_settings import CLASSES, CRASH_ATTEMPTS, ErrorClass, RetrySettings
from caxton.domain.errors import CaxtonError, Code, ProviderError

TRANSIENT = CaxtonError(Code.PROVIDER_UNAVAILABLE, "Away.")


def test_the_pause_doubles_up_to_the_longest():
    retries = RetrySettings(attempts=9, first_delay=1, longest_delay=20)
    assert [retries.delay(attempt, TRANSIENT, 1.0) for attempt in range(1, 8)] == [1, 2, 4, 8, 16, 20, 20]


@given(st.integers(1, 99), st.floats(0, 1))
def test_jitter_takes_away_half_of_the_pause_at_most(attempt, jitter):
    retries = RetrySettings(attempts=100, first_delay=1, longest_delay=60)
    longest = retries.delay(attempt, TRANSIENT, 1.0)
    assert longest / 2 <= retries.delay(attempt, TRANSIENT, jitter) <= longest <= 60


def test_a_provider_that_asks_for_a_longer_pause_has_it():
    limited = ProviderError(Code.PROVIDER_RATE_LIMITED, "Slowly.", retry_after=90)
    assert RetrySettings(first_delay=1, longest_delay=2).delay(1, limited, 1.0) == 90


@pytest.mark.parametrize("code", list(Code))
def test_an_error_is_repeated_as_its_class_says(code):
    retries = RetrySettings(attempts=5)
    attempts = 1
    while retries.delay(attempts, CaxtonError(code, "Failed."), 1.0) is not None:
        attempts += 1
    expected = {ErrorClass.TRANSIENT: 5, ErrorClass.CRASH: CRASH_ATTEMPTS, ErrorClass.PERMANENT: 1}
    assert attempts == expected[CLASSES.get(code, ErrorClass.PERMANENT)]


def test_one_attempt_is_one_attempt():
    assert RetrySettings(attempts=1).delay(1, TRANSIENT, 1.0) is None
    assert RetrySettings(attempts=1).delay(1, CaxtonError(Code.TURN_CRASHED, "Crashed."), 1.0) is None
