"""The JSON Schemas say of a file what the server says of it."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.config.agent_file import diagnose
from caxton.config.schema import agent_schema, server_schema
from caxton.config.settings import diagnose_settings
from caxton.domain.agent import AgentDefinition, Source
from caxton.domain.settings import ProviderSettings

SCHEMAS = {"agent": agent_schema(), "server": server_schema()}


def tables(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that describes a table of known keys."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from tables(inner)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_schema_is_json_and_says_which_draft_it_is(schema):
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert msgspec.json.decode(msgspec.json.encode(schema)) == schema


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_no_table_takes_unknown_keys_and_every_key_is_described(schema):
    found = list(tables(schema))
    assert len(found) >= 3
    for table in found:
        assert table["additionalProperties"] is False
        for key, described in table["properties"].items():
            assert "description" in described or "$ref" in described or "additionalProperties" in described, key


def test_the_agents_schema_has_keys_of_a_definition():
    schema = SCHEMAS["agent"]
    assert schema["properties"].keys() - {"llm_provider"} <= set(AgentDefinition.__struct_fields__)
    assert schema["required"] == ["name", "system_prompt"]


def test_the_servers_schema_has_keys_of_a_provider():
    provider = SCHEMAS["server"]["$defs"]["ProviderTable"]
    assert provider["properties"].keys() <= set(ProviderSettings.__struct_fields__) - {"name"}
    assert provider["required"] == ["kind"]


def agent(key: str, value: str) -> str:
    lines = {"name": "helper", "system_prompt": "x", key: value}
    return "".join(f"{name} = {msgspec.json.encode(written).decode()}\n" for name, written in lines.items())


NEAR = st.text(st.sampled_from("abz019-.:v+*_ A"), max_size=12) | st.text(st.characters(codec="utf-8"), max_size=5)


@given(NEAR, st.sampled_from(["name", "version"]))
def test_a_pattern_takes_the_texts_that_the_server_takes(text, key):
    described = SCHEMAS["agent"]["properties"][key]
    most, least = described.get("maxLength", len(text)), described.get("minLength", 0)
    taken = bool(re.search(described["pattern"].replace("$", r"\Z"), text)) and least <= len(text) <= most
    assert taken == (
        diagnose(Source(path="a.toml", text=agent(key, text).replace("\x7f", "\\u007f")), providers=[]) == []
    )


@given(st.text(st.sampled_from("abzAZ019_-$ ü"), max_size=8))
def test_the_pattern_of_a_variables_name_takes_what_the_server_takes(name):
    described = SCHEMAS["server"]["$defs"]["ProviderTable"]["properties"]["api_key_env"]
    (pattern,) = [one["pattern"] for one in described["anyOf"] if "pattern" in one]
    text = f'[providers.x]\nkind = "local"\napi_key_env = "{name}"\n'
    taken = diagnose_settings(Source(path="caxton.toml", text=text), kinds=["local"]) == []
    assert bool(re.search(pattern.replace("$", r"\Z"), name)) == taken
