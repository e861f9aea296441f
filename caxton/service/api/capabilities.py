"""What agents can do for each other, seen from outside."""

from typing import Any

import msgspec

from caxton.domain.errors import Code
from caxton.domain.lifecycle import AgentState
from caxton.service.api.operation import Operation


class CapabilityEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A capability in one line: who offers it, how many of them run, and who needs it."""

    name: str
    description: str
    agents: list[str]
    running: int
    required_by: list[str]


class CapabilityList(msgspec.Struct, frozen=True, kw_only=True):
    """By name. What is required and offered by nobody is in it too."""

    capabilities: list[CapabilityEntry]


class ProviderEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A capability as one agent offers it, and how the agent is doing.

    `waiting` is how many messages it has in hand, of at most `limit`; `seconds` how long it took over one lately, None
    while that is not known. `input` and `output` are JSON schemas: of the content of requests, and of the `data` of
    replies.
    """

    agent: str
    capability: str
    description: str
    state: AgentState
    waiting: int
    limit: int
    seconds: float | None
    input: dict[str, Any] | None
    output: dict[str, Any] | None


class CapabilityView(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to know of a capability; of all its versions where it is named without one."""

    name: str
    providers: list[ProviderEntry]
    required_by: list[str]


LIST = Operation(
    name="capabilities.list",
    method="GET",
    path="/capabilities",
    summary="List what agents can do for each other, and what they need of each other",
    permission="capabilities:read",
    response=CapabilityList,
)
SHOW = Operation(
    name="capabilities.show",
    method="GET",
    path="/capabilities/{name}",
    summary="Show a capability: which agents offer it, its schemas, their load and speed",
    permission="capabilities:read",
    response=CapabilityView,
    errors=(Code.CAPABILITY_NOT_FOUND,),
)

OPERATIONS = (LIST, SHOW)
