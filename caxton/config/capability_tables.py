"""`[capability_details."NAME"]` of agent files: what an agent does for others, in detail."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from caxton.config.check import FileModel, shown, wrong
from caxton.config.codes import Problem
from caxton.config.places import KeyPath
from caxton.config.toml import Finding
from caxton.domain.capability import CapabilityDetails
from caxton.domain.suggestion import did_you_mean

CAPABILITY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(:v[1-9]\d{0,8})?")
DETAILS = "capability_details"
LONGEST = 200
"""Characters of what is wrong with a schema."""


def _capability(text: str) -> str:
    if CAPABILITY.fullmatch(text):
        return text
    raise wrong(f'a capability is written "data-analysis" or "charts:v2", not {shown(text)}')


Capability = Annotated[
    str,
    AfterValidator(_capability),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{CAPABILITY.pattern})$"}),
]


class CapabilityTable(FileModel):
    """`[capability_details."NAME"]`: more on one of the agent's `capabilities`."""

    description: str = Field("", description="One line for people and for other agents.")
    input: dict[str, Any] | None = Field(None, description="JSON schema that the content of requests for it fits.")
    output: dict[str, Any] | None = Field(None, description="JSON schema that the answers to such requests fit.")

    def details(self) -> CapabilityDetails:
        return CapabilityDetails(description=self.description, input=self.input, output=self.output)


def detail_rules(data: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong in the details that no single value can tell. Looks at raw data."""
    details, offered = data.get(DETAILS), data.get("capabilities", [])
    if not isinstance(details, dict):
        return
    for name, table in details.items():
        if isinstance(offered, list) and name not in offered:
            known = [one for one in offered if isinstance(one, str)]
            hint = did_you_mean(name, known) or "Add it there, before any [table]."
            message = f"{shown(name)} is not one of the agent's 'capabilities'"
            yield Finding((DETAILS, name), Problem.INVALID_VALUE, message, hint, at_key=True)
        for side in ("input", "output") if isinstance(table, dict) else ():
            if isinstance(schema := table.get(side), dict):
                yield from _schema_rules((DETAILS, name, side), schema)


def _schema_rules(path: KeyPath, schema: dict[str, Any]) -> Iterator[Finding]:
    """What keeps a schema from being one (draft 2020-12, unless it names another)."""
    # Imported where there is one.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    validator = validator_for(schema, default=Draft202012Validator)
    checker = validator(validator.META_SCHEMA, format_checker=validator.FORMAT_CHECKER)
    try:
        error = best_match(checker.iter_errors(schema))
    except RecursionError:
        yield Finding(path, Problem.INVALID_VALUE, "the schema is nested too deeply", at_key=True)
        return
    if error:
        place = (*path, *error.absolute_path)
        yield Finding(place, Problem.INVALID_VALUE, f"this is no JSON schema: {error.message[:LONGEST]}")
    else:
        yield from _reference_rules(path, schema)


def _reference_rules(path: KeyPath, schema: dict[str, Any]) -> Iterator[Finding]:
    """References that lead nowhere. None is followed out of the schema: nothing is fetched to check a message."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    waiting: list[tuple[KeyPath, Any]] = [(path, schema)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting += [((*place, number), one) for number, one in enumerate(value)]
        elif isinstance(value, dict):
            waiting += [((*place, key), one) for key, one in value.items()]
            reference = value.get("$ref")
            if not isinstance(reference, str):
                continue
            try:
                if reference.startswith("#"):
                    resolver.lookup(reference)
                    continue
            except Unresolvable:
                pass
            message = f"nothing in the schema is {shown(reference)}"
            hint = 'Put it below "$defs" and write "#/$defs/NAME"; a schema elsewhere is not fetched.'
            yield Finding((*place, "$ref"), Problem.INVALID_VALUE, message, hint)
