"""Agents, seen from outside."""

import msgspec

from caxton.domain.agent import AgentActivity, AgentDefinition, ReloadOutcome, ReloadResult
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import Code
from caxton.domain.lifecycle import AgentState, LifecycleEvent
from caxton.service.api.operation import BodyKind, Operation, PageSize


class AgentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An agent in one line. Times are seconds since the epoch, UTC."""

    id: str
    name: str
    version: str
    state: AgentState
    provider: str
    description: str
    last_activity: float | None
    last_error: str | None
    last_reload: ReloadOutcome


class RejectedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the agents directory that defines no agent, and why."""

    file: str
    at: float
    diagnostics: tuple[Diagnostic, ...]


class AgentList(msgspec.Struct, frozen=True, kw_only=True):
    agents: list[AgentSummary]
    rejected: list[RejectedFile]


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to know of an agent: the definition in force, where it comes from, how it is doing.

    `warnings` hold just now: what it requires and no running agent offers.
    """

    id: str
    name: str
    state: AgentState
    provider: str
    file: str
    created_at: float
    definition: AgentDefinition
    activity: AgentActivity
    last_reload: ReloadResult
    warnings: tuple[Diagnostic, ...] = ()


class AgentDeleted(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    file: str
    messages_erased: int


class AgentEvents(msgspec.Struct, frozen=True, kw_only=True):
    events: list[LifecycleEvent]


class ConversationsErased(msgspec.Struct, frozen=True, kw_only=True):
    messages_erased: int


class ValidationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every problem of a file, errors and warnings; `valid` when there is no error."""

    valid: bool
    diagnostics: list[Diagnostic]


class DefinitionText(msgspec.Struct, frozen=True, kw_only=True):
    """The TOML text of an agent file."""

    toml: str


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True):
    purge: bool = False
    """Erase the agent's conversations and its id too."""


class CreateQuery(msgspec.Struct, frozen=True, kw_only=True):
    template: str | None = None
    """Create from this template instead of a body; needs `name`."""
    name: str | None = None
    """The agent's name, where it comes from a template."""


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 50


LIST = Operation(
    name="agents.list",
    method="GET",
    path="/agents",
    summary="List the agents",
    permission="agents:read",
    response=AgentList,
)
CREATE = Operation(
    name="agents.create",
    method="POST",
    path="/agents",
    summary="Create an agent from its TOML file, the same as JSON, or a template",
    permission="agents:write",
    response=AgentView,
    status=201,
    body=DefinitionText,
    body_kind=BodyKind.DEFINITION,
    query=CreateQuery,
    errors=(Code.AGENT_EXISTS, Code.CONFIGURATION_INVALID, Code.BODY_TOO_LARGE, Code.TEMPLATE_NOT_FOUND),
)
VALIDATE = Operation(
    name="agents.validate",
    method="POST",
    path="/agents/validate",
    summary="Check an agent file without creating the agent",
    permission="agents:read",
    response=ValidationReport,
    body=DefinitionText,
    body_kind=BodyKind.DEFINITION,
    errors=(Code.BODY_TOO_LARGE,),
)
SHOW = Operation(
    name="agents.show",
    method="GET",
    path="/agents/{name}",
    summary="Show an agent: definition, state, last reload, last error",
    permission="agents:read",
    response=AgentView,
    errors=(Code.AGENT_NOT_FOUND,),
)
REPLACE = Operation(
    name="agents.replace",
    method="PUT",
    path="/agents/{name}",
    summary="Create the agent, or replace its definition; id and conversations stay",
    permission="agents:write",
    response=AgentView,
    body=DefinitionText,
    body_kind=BodyKind.DEFINITION,
    errors=(Code.CONFIGURATION_INVALID, Code.BODY_TOO_LARGE),
)
DELETE = Operation(
    name="agents.delete",
    method="DELETE",
    path="/agents/{name}",
    summary="Delete an agent and its file; conversations stay unless purged",
    permission="agents:write",
    response=AgentDeleted,
    query=DeleteQuery,
    errors=(Code.AGENT_NOT_FOUND,),
)
START = Operation(
    name="agents.start",
    method="POST",
    path="/agents/{name}/start",
    summary="Start a stopped or failed agent",
    permission="agents:operate",
    response=AgentView,
    errors=(Code.AGENT_NOT_FOUND,),
)
STOP = Operation(
    name="agents.stop",
    method="POST",
    path="/agents/{name}/stop",
    summary="Let an agent finish its turns and stop it; it stays stopped over restarts",
    permission="agents:operate",
    response=AgentView,
    errors=(Code.AGENT_NOT_FOUND,),
)
RESTART = Operation(
    name="agents.restart",
    method="POST",
    path="/agents/{name}/restart",
    summary="Stop and start an agent",
    permission="agents:operate",
    response=AgentView,
    errors=(Code.AGENT_NOT_FOUND,),
)
RELOAD = Operation(
    name="agents.reload",
    method="POST",
    path="/agents/{name}/reload",
    summary="Read the agent's file again, now",
    permission="agents:operate",
    response=AgentView,
    errors=(Code.AGENT_NOT_FOUND, Code.CONFIGURATION_INVALID),
)
EVENTS = Operation(
    name="agents.events",
    method="GET",
    path="/agents/{name}/events",
    summary="The agent's changes of state, newest first",
    permission="agents:read",
    response=AgentEvents,
    query=EventsQuery,
    errors=(Code.AGENT_NOT_FOUND,),
)
RESET = Operation(
    name="agents.reset",
    method="POST",
    path="/agents/{name}/reset",
    summary="Erase all conversations of an agent",
    permission="conversations:write",
    response=ConversationsErased,
    errors=(Code.AGENT_NOT_FOUND,),
)

OPERATIONS = (LIST, CREATE, VALIDATE, SHOW, REPLACE, DELETE, START, STOP, RESTART, RELOAD, EVENTS, RESET)
