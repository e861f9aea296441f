"""Kinds of values that several tables have."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from caxton.config.check import shown, wrong
from caxton.config.units import read_duration, read_size


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


Filled = Annotated[str, AfterValidator(_filled), WithJsonSchema({"type": "string", "minLength": 1})]
Duration = Annotated[float, Field(gt=0, le=86400), BeforeValidator(_duration, json_schema_input_type=str | float)]
Retention = Annotated[
    float, Field(gt=0, le=3_153_600_000), BeforeValidator(_duration, json_schema_input_type=str | float)
]
Size = Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_size, json_schema_input_type=str | int)]
