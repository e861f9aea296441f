"""From a model's complaints to findings that teach."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from caxton.config.codes import Problem
from caxton.config.toml import Finding, KeyPath

KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
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
}


class FileModel(BaseModel):
    """What every part of a file's format has in common: nothing unknown, nothing converted in silence."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def findings(model: type[FileModel], error: ValidationError) -> Iterator[Finding]:
    """A finding for each of the model's complaints about a file's data."""
    for one in error.errors(include_url=False):
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
                    f"{key!r} has to be {EXPECTED[kind]}, not {_shown(value)}",
                    _quotes(kind, value),
                )
            case "literal_error":
                choices = _choices(one["ctx"]["expected"])
                message = f"{key!r} has to be one of {', '.join(choices)}, not {_shown(value)}"
                yield Finding(path, Problem.INVALID_VALUE, message, did_you_mean(str(value), choices))
            case _:
                hint = one.get("ctx", {}).get("hint", "")
                words = one["msg"].removeprefix("Input should be ").removeprefix("Value should ")
                message = words if one["type"] == "caxton" else f"{key!r} has to be {words}, not {_shown(value)}"
                yield Finding(path, Problem.INVALID_VALUE, message, hint)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint that names the nearest of the known words; empty where none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {nearest[0]!r}?" if nearest else ""


def _unknown_key(model: type[FileModel], path: KeyPath) -> Finding:
    *above, key = path
    table = _model_at(model, above)
    known = list(table.model_fields) if table else []
    place = f"[{'.'.join(str(part) for part in above)}]" if above else "the file"
    homes = [home for home, fields in _tables(model) if key in fields and home != tuple(above)]
    hint = did_you_mean(str(key), known)
    if homes and not hint:
        home = ".".join(homes[0])
        hint = (
            f"{key!r} belongs in [{home}]." if home else f"{key!r} belongs at the top of the file, before any [table]."
        )
    return Finding(path, Problem.UNKNOWN_KEY, f"{place} has no key {key!r}", hint or _listed(known), at_key=True)


def _listed(known: list[str]) -> str:
    return f"Known keys: {', '.join(known)}." if known else ""


def _tables(model: type[FileModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Every table of the format with its keys."""
    yield path, model.model_fields
    for name, field in model.model_fields.items():
        if inner := _inner(field.annotation):
            yield from _tables(inner, (*path, name))


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


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _quotes(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return f'Put it in quotes: "{value}".'
    if kind != "string_type" and isinstance(value, str):
        return "Leave out the quotes." if value.replace(".", "", 1).isdigit() or value in ("true", "false") else ""
    if kind == "list_type":
        return f"Put it in brackets: [{value!r}]."
    return ""
