"""`caxton schema`."""

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "key"), [([], "system_prompt"), (["agent"], "system_prompt"), (["server"], "server")]
)
def test_a_schema_is_json_that_knows_the_keys(apart, arguments, key):
    schema = json.loads(apart.out("schema", *arguments))
    assert key in schema["properties"]
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_a_format_that_is_none_is_wrong_usage(apart):
    assert "'agent', 'server'" in apart.err("schema", "nonsense", fails=2)
