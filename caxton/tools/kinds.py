"""The ways to run a tool server: a table of names and where their makers are, imported when one is chosen."""

import importlib
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from typing import cast

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.tools import HostKind

KINDS: Mapping[str, str] = {
    "stdio": "caxton.tools.host:stdio_host",
    "http": "caxton.tools.host:http_host",
    "standard": "caxton.tools.standard:standard_host",
    "wasm": "caxton.tools.wasm:wasm_host",
}
GROUP = "caxton.tool_hosts"
"""Entry points of other packages that bring kinds of their own."""


def host_kinds() -> Collection[str]:
    return sorted({*KINDS, *(entry.name for entry in entry_points(group=GROUP))})


def host_kind(name: str) -> HostKind:
    """The maker of hosts of a kind; CaxtonError `tool_server_unavailable` where there is none of that name."""
    where = KINDS.get(name)
    if where is not None:
        module, _, attribute = where.partition(":")
        return cast(HostKind, getattr(importlib.import_module(module), attribute))
    for entry in entry_points(group=GROUP, name=name):
        return cast(HostKind, entry.load())
    raise CaxtonError(
        Code.TOOL_SERVER_UNAVAILABLE,
        f"There is no kind {name!r} of tool servers.",
        hint=f"Known are {', '.join(host_kinds())}.",
    )
