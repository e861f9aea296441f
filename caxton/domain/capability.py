"""What an agent can do for others."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec


class CapabilityName(NamedTuple):
    """`charts:v2` read: a name, and a version where one is written."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:v{self.version}"

    def meets(self, wanted: "CapabilityName") -> bool:
        """Whether this offer is what is wanted: any version where none is asked for, else that very one."""
        return self.name == wanted.name and wanted.version in (None, self.version)


class Capability(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An offer, maybe with JSON schemas: `input` of a request's content, `output` of the `data` that its reply has."""

    name: CapabilityName
    description: str = ""
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None


class CapabilityDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent's file says of one of its capabilities, beyond the name."""

    description: str = ""
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that offers a capability. It has `waiting` messages in hand of at most `limit`.

    `seconds` is how long its handling took lately, None where that is not known.
    """

    agent: str
    capability: Capability
    waiting: int
    limit: int
    seconds: float | None = None


LONGEST_VERSION = 9
"""Digits."""


def read_capability(text: str) -> CapabilityName:
    """`charts` or `charts:v2`; what is no version after a colon belongs to the name."""
    name, colon, version = text.rpartition(":v")
    if colon and name and version.isascii() and version.isdigit() and len(version) <= LONGEST_VERSION:
        return CapabilityName(name, int(version))
    return CapabilityName(text)


def by_name(capabilities: Iterable[Capability]) -> dict[str, Capability]:
    """One agent's capabilities by every name that they are found under.

    A name without a version means the one that has none, else the newest.
    """
    named = {str(one.name): one for one in capabilities}
    for one in [*named.values()]:
        plain = named.setdefault(one.name.name, one)
        if plain.name.version is not None and (one.name.version or 0) > plain.name.version:
            named[one.name.name] = one
    return named
