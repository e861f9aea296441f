import math
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from support.acts import JSON, contents

from caxton.domain.content import DEEPEST, LARGEST, SMALLEST, as_text, flaws, shortened, size


@given(contents())
def test_what_json_can_say_has_no_flaw_and_stays_itself(content):
    assert list(flaws(content)) == []
    assert msgspec.json.decode(msgspec.json.encode(content)) == content
    assert size(content) == len(msgspec.json.encode(content))


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        ({"a": [1, {"b": math.nan}]}, "content.a[1].b", "is nan"),
        ({"a": -math.inf}, "content.a", "is -inf"),
        ({"a": "x\ud800"}, "content.a", "character 2"),
        ({"\udfff": 1}, "content", "has a key that has half a surrogate pair"),
        ({5: 1}, "content", "has a key that is no text: '5'"),
        ({"a": LARGEST + 1}, "content.a", "64 bits"),
        ({"a": SMALLEST - 1}, "content.a", "64 bits"),
        ({"a": b"x"}, "content.a", "is a bytes"),
        ({"a": datetime.now(UTC)}, "content.a", "is a datetime"),
        ({"a": {1, 2}}, "content.a", "is a set"),
    ],
)
def test_a_flaw_is_told_with_its_place(value, place, what):
    [flaw] = flaws(value)
    assert flaw.place == place
    assert what in flaw.what


def test_flaws_are_told_in_the_order_of_the_content():
    content = {"a": math.nan, "b": [b"x", {"c": math.inf}], "d": b"y"}
    assert [flaw.place for flaw in flaws(content)] == ["content.a", "content.b[0]", "content.b[1].c", "content.d"]


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_nesting_has_an_end_and_does_not_cost_the_stack():
    assert list(flaws(nested(DEEPEST))) == []
    for levels in DEEPEST + 1, 100_000:
        [flaw] = flaws(nested(levels))
        assert "levels deep" in flaw.what


@pytest.mark.parametrize(
    ("content", "text"), [({"text": "Hello", "rows": []}, "Hello"), ({"rows": [1]}, '{"rows":[1]}'), ({}, "")]
)
def test_a_content_reads_as_its_text_or_as_a_whole(content, text):
    assert as_text(content) == text


@given(JSON)
def test_a_report_is_short_whatever_it_is_on(value):
    told = shortened(value, 10)
    assert told is None or isinstance(told, int | float | str)
    assert len(str(told)) <= 40


@pytest.mark.parametrize("value", [math.nan, 2**70, "a\ud800", b"x", {1: math.nan}, [b"x"], object()])
def test_a_report_can_always_be_sent(value):
    msgspec.json.encode(shortened(value, 10))
