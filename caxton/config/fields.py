"""Kinds of values that several tables have."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from caxton.config.check import shown, wrong
from caxton.config.units import read_duration, read_size
from caxton.domain.tool_pattern import pattern_problem


def _filled(text: str) -> str:
    if text.strip():
        return text
    raise wrong("this is empty", "Leave the key out for its default.")


def _duration(value: Any) -> float:
    try:
        return read_duration(value)
    except ValueError:
        hint = 'Write "60s", "2m" or "1m30s", or a number of seconds.'
        raise wrong(f"{shown(value)} is not a duration", hint) from None


def _size(value: Any) -> int:
    try:
        return read_size(value)
    except ValueError:
        raise wrong(f"{shown(value)} is not a size", 'Write "512MB" or "2GB", or a number of bytes.') from None


def _several(value: Any) -> Any:
    """A list, which the environment and options write with commas."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Filled = Annotated[str, AfterValidator(_filled), WithJsonSchema({"type": "string", "minLength": 1})]
Duration = Annotated[float, Field(gt=0, le=86400), BeforeValidator(_duration, json_schema_input_type=str | float)]
Retention = Annotated[
    float, Field(gt=0, le=3_153_600_000), BeforeValidator(_duration, json_schema_input_type=str | float)
]
Size = Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_size, json_schema_input_type=str | int)]


def _tool_pattern(text: str) -> str:
    if problem := pattern_problem(text):
        raise wrong(problem)
    return text


VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _url(text: str) -> str:
    if text.startswith(("http://", "https://")):
        return text
    raise wrong(f"an address has to begin with http:// or https://, not {shown(text)}")


BACKEND_SCHEMES = ("http", "https", "neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")


def _backend_url(text: str) -> str:
    if text.startswith(tuple(f"{scheme}://" for scheme in BACKEND_SCHEMES)):
        return text
    raise wrong(
        f"an address has to begin with http:// or https://, or neo4j:// or bolt:// for Neo4j, not {shown(text)}"
    )


def _variable(text: str) -> str:
    if VARIABLE.fullmatch(text):
        return text
    # Not shown: what often stands here by mistake is the key itself.
    raise wrong(
        "this has to be the name of an environment variable, not the key itself",
        'Put the key into the environment and its name here: api_key_env = "OPENAI_API_KEY".',
        secret=True,
    )


Url = Annotated[str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
BackendUrl = Annotated[
    str,
    AfterValidator(_backend_url),
    WithJsonSchema({"type": "string", "pattern": r"^(https?|(neo4j|bolt)(\+ssc|\+s)?)://"}),
]
Variable = Annotated[
    str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{VARIABLE.pattern}$"})
]
ToolPattern = Annotated[
    str,
    AfterValidator(_tool_pattern),
    WithJsonSchema({"type": "string", "pattern": r"^(\*|[a-z0-9*][a-z0-9_*-]*\..+)$"}),
]
Names = Annotated[list[Filled], BeforeValidator(_several, json_schema_input_type=str | list[str])]
