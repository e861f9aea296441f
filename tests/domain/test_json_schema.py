"""Whether a value fits a JSON schema, and whether a schema is one."""

from datetime import date

import pytest
from hypothesis import given
from support.acts import JSON

from caxton.domain.json_schema import DEEPEST, LONGEST, JsonSchema

TREE = {"$ref": "#/$defs/tree", "$defs": {"tree": {"additionalProperties": {"$ref": "#/$defs/tree"}}}}


def deep(levels: int, key: str = "in") -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({}, {"anything": [1, None]}, "None"),
        ({"required": ["rows"]}, {}, '$: "rows" is a required property'),
        ({"properties": {"a": {"items": {"type": "number"}}}}, {"a": [1, "x"]}, '$.a[1]: "x" is not of type "number"'),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}, 2, "$: 1 was expected"),
        ({"$ref": "#"}, {}, "None"),
        ({"type": "object"}, {1: 2}, "$: it is no JSON: Dict key must be str or str enum. Got 'int'"),
        (TREE, deep(DEEPEST), "None"),
        (TREE, deep(DEEPEST + 1), "$: it is nested too deeply to be checked"),
        ({}, [[]] * 1000, "None"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(schema, value, told):
    assert str(JsonSchema(schema).misfit(value)) == told


def test_what_is_told_is_short():
    misfit = JsonSchema({"type": "object"}).misfit("x" * 1_000_000)
    assert len(misfit.what) <= LONGEST + 1


def test_a_pattern_that_would_take_for_ever_does_not():
    assert JsonSchema({"pattern": "^(?=a)(a+)+$"}).misfit("a" * 60 + "b")


@pytest.mark.parametrize(
    ("schema", "path", "what"),
    [
        ({"type": "objekt"}, ("type",), '"objekt" is not valid'),
        ({"properties": {"a": {"minimum": "x"}}}, ("properties", "a", "minimum"), 'is not of type "number"'),
        ({"properties": {"a": {"pattern": "["}}}, ("properties", "a", "pattern"), 'is not a "regex"'),
        ({"$ref": "http://127.0.0.1:1/x"}, (), "nothing is fetched"),
        ({"$ref": "#/$defs/x"}, (), "'/$defs/x' does not exist"),
        ({"$schema": "http://127.0.0.1:1/x"}, (), "Unknown meta-schema"),
        ({"enum": [date(2026, 1, 2)]}, (), "Unsupported type"),
        (deep(100_000, "not"), (), "it is nested too deeply"),
    ],
)
def test_what_cannot_be_a_schema_is_told_and_nothing_fits_it(schema, path, what):
    flawed = JsonSchema(schema)
    assert flawed.flaw.path == path
    assert what in flawed.flaw.what
    assert "the schema cannot be used" in flawed.misfit({}).what


@given(value=JSON)
def test_every_value_of_json_can_be_checked(value):
    assert JsonSchema({}).misfit(value) is None
    assert JsonSchema({"const": value}).misfit(value) is None
