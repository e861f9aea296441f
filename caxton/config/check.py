"""From a model's complaints to findings that teach."""

import reprlib
from collections.abc import Iterator, Mapping
from datetime import date, time
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from caxton.config.codes import Problem
from caxton.config.excerpt import SECRET
from caxton.config.places import KeyPath
from caxton.config.toml import MOST, Finding
from caxton.domain.suggestion import did_you_mean, nearest

EXPECTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    # What an environment variable or an option says is text, and does not read as what it should be.
    "int_parsing": "a whole number",
    "float_parsing": "a number",
}
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60


class FileModel(BaseModel):
    """What every part of a file's format has in common: nothing unknown, nothing converted in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def findings(model: type[FileModel], error: ValidationError) -> Iterator[Finding]:
    """A finding for each of the model's complaints about a file's data, up to `MOST`."""
    for one in error.errors(include_url=False)[:MOST]:
        path: KeyPath = one["loc"]
        key, value = ".".join(str(part) for part in path), one["input"]
        match one["type"]:
            case "extra_forbidden":
                yield _unknown_key(model, path)
            case "missing":
                table = f"[{'.'.join(str(part) for part in path[:-1])}]" if path[:-1] else "the file"
                yield Finding(
                    path, Problem.MISSING_KEY, f"{path[-1]!r} is missing; {table} has to have it", at_key=True
                )
            case kind if kind in EXPECTED:
                yield Finding(
                    path,
                    Problem.WRONG_TYPE,
                    f"{key!r} has to be {EXPECTED[kind]}, not {shown(value)}",
                    _quotes(kind, value),
                )
            case "literal_error":
                choices = _choices(one["ctx"]["expected"])
                message = f"{key!r} has to be one of {', '.join(choices)}, not {shown(value)}"
                hint = did_you_mean(value, choices) if isinstance(value, str) else ""
                yield Finding(path, Problem.INVALID_VALUE, message, hint)
            case "caxton":
                secret = one["ctx"].get("secret", False)
                code = Problem.SECRET_IN_FILE if secret else Problem.INVALID_VALUE
                yield Finding(path, code, one["msg"], one["ctx"]["hint"], secret=secret)
            case "too_long":
                most, actual = one["ctx"]["max_length"], one["ctx"]["actual_length"]
                message = f"{key!r} may have at most {most} entries, not {actual}"
                yield Finding(path, Problem.INVALID_VALUE, message)
            case _:
                words = one["msg"].removeprefix("Input should be ")
                yield Finding(path, Problem.INVALID_VALUE, f"{key!r} has to be {words}, not {shown(value)}")


def wrong(message: str, hint: str = "", *, secret: bool = False) -> PydanticCustomError:
    """What a validator raises: an error in our own words. The value of a `secret` is shown nowhere."""
    # The words may hold braces, which the error would take for its own placeholders.
    return PydanticCustomError("caxton", "{words}", {"words": message, "hint": hint, "secret": secret})


def shown(value: object) -> str:
    """A value as a message shows it: as the file writes it or nearly so, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    text = value.isoformat() if isinstance(value, date | time) else SHORT.repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _unknown_key(model: type[FileModel], path: KeyPath) -> Finding:
    *above, key = path
    table = _model_at(model, above)
    known = list(table.model_fields) if table else []
    place = f"[{'.'.join(str(part) for part in above)}]" if above else "the file"
    if SECRET.search(f"{key}="):
        message, hint = "keys do not belong in files", "Name an environment variable that holds it: api_key_env"
        hint += ' = "OPENAI_API_KEY", in caxton.toml below [providers.NAME].'
        return Finding(path, Problem.SECRET_IN_FILE, message, hint, at_key=True, secret=True)
    hint = _elsewhere(model, str(key)) or did_you_mean(str(key), known) or _near_elsewhere(model, str(key))
    return Finding(path, Problem.UNKNOWN_KEY, f"{place} has no key {shown(key)}", hint or _listed(known), at_key=True)


def _elsewhere(model: type[FileModel], key: str) -> str:
    """The hint for a key that stands in the wrong table."""
    homes = [home for home, fields in _tables(model) if key in fields]
    if "" in homes:
        return f"{key!r} belongs at the top of the file, before any [table]."
    return f"{key!r} belongs in {' or '.join(f'[{home}]' for home in homes)}." if homes else ""


def _near_elsewhere(model: type[FileModel], key: str) -> str:
    homes = {field: home for home, fields in _tables(model) for field in fields}
    found = nearest(key, homes)
    return f"Did you mean {found!r} in [{homes[found]}]?" if found and homes[found] else ""


def _listed(known: list[str]) -> str:
    return f"Known keys: {', '.join(known)}." if known else ""


def _tables(model: type[FileModel], home: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table of the format, by its header, with its keys."""
    yield home, model.model_fields
    for name, field in model.model_fields.items():
        if inner := _inner(field.annotation):
            below = f"{name}.NAME" if get_origin(field.annotation) is dict else name
            yield from _tables(inner, f"{home}.{below}" if home else below)


def _model_at(model: type[FileModel], path: list[str | int]) -> type[FileModel] | None:
    current: type[FileModel] | None = model
    skip = False
    for part in path:
        if skip:
            skip = False  # the name of an entry in a table of tables
            continue
        field = current.model_fields.get(str(part)) if current else None
        if field is None:
            return None
        skip = get_origin(field.annotation) is dict
        current = _inner(field.annotation)
    return current


def _inner(annotation: Any) -> type[FileModel] | None:
    """The table's model in an annotation such as `Model`, `Model | None` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return annotation
    if get_origin(annotation) in (dict, Union, UnionType):
        return next((inner for one in get_args(annotation) if (inner := _inner(one))), None)
    return None


def _choices(expected: str) -> list[str]:
    return [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]


def _quotes(kind: str, value: Any) -> str:
    """How the value would be of the right type, where quotes or brackets make the difference."""
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'Put it in quotes: "{str(value).lower() if isinstance(value, bool) else value}".'
    if kind == "list_type" and isinstance(value, str):
        return f"Put it in brackets: [{shown(value)}]."
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str):
        return "Leave out the quotes." if value.replace(".", "", 1).isdigit() or value in ("true", "false") else ""
    return ""
