"""Which known word is nearest."""

import pytest

from caxton.domain.suggestion import MOST, did_you_mean


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("temprature", "Did you mean 'temperature'?"),
        ("Temperature", "Did you mean 'temperature'?"),
        ("temperature2", "Did you mean 'temperature'?"),
        ("tmp", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_the_nearest_of_the_known_words_is_meant_or_none(word, hint):
    assert did_you_mean(word, ["model", "temperature", "top_p"]) == hint


def test_with_nothing_known_nothing_is_meant():
    assert did_you_mean("model", []) == ""


def test_of_very_many_known_words_the_first_are_looked_at():
    assert (
        did_you_mean("helpre", ["helper", *(f"agent-{number}" for number in range(MOST))]) == "Did you mean 'helper'?"
    )
