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
from caxton.domain.json_schema import JsonSchema
from caxton.domain.suggestion import did_you_mean

CAPABILITY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(:v[1-9]\d{0,8})?")
DETAILS = "capability_details"


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
            schema = table.get(side)
            if isinstance(schema, dict) and (flaw := JsonSchema(schema).flaw):
                path = (DETAILS, name, side, *(flaw.path or _reference(schema, flaw.what)))
                yield Finding(path, Problem.INVALID_VALUE, f"this is no JSON schema that can be used: {flaw.what}")


def _reference(schema: dict[str, Any], what: str) -> KeyPath:
    """Where the reference stands that a flaw speaks of, which does not say so itself; the whole where it is none."""
    waiting: list[tuple[KeyPath, Any]] = [((), schema)]
    while waiting:
        place, value = waiting.pop()
        match value:
            case {"$ref": str(reference)} if reference and reference.removeprefix("#") in what:
                return (*place, "$ref")
            case dict():
                waiting += [((*place, key), one) for key, one in value.items()]
            case list():
                waiting += [((*place, number), one) for number, one in enumerate(value)]
    return ()
