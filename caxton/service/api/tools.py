"""Tools, the servers they come from, and who may use them, seen from outside."""

from typing import Annotated, Any

import msgspec

from caxton.domain.errors import Code, ErrorReport
from caxton.domain.health import HealthStatus
from caxton.domain.tool import (
    ContentPart,
    PendingApproval,
    ToolDecision,
    ToolHints,
    ToolResult,
    ToolSchema,
    ToolViolation,
    Verdict,
)
from caxton.domain.tool_settings import WasmLimits
from caxton.service.api.operation import BodyKind, Operation, PageSize


class ToolView(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its server describes it; all but the name is the server's word.

    `parameters` and `returns` are JSON Schemas. `changed` tells that the description is not the approved one any more.
    """

    name: str
    title: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None
    hints: ToolHints
    fingerprint: str
    changed: bool

    @classmethod
    def of(cls, schema: ToolSchema) -> "ToolView":
        return cls(
            name=str(schema.name),
            title=schema.title,
            description=schema.description,
            parameters=schema.parameters,
            returns=schema.returns,
            hints=schema.hints,
            fingerprint=schema.fingerprint,
            changed=schema.changed,
        )


class ToolList(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of all servers that answer; `failures` has the others, each with its error."""

    tools: list[ToolView]
    failures: dict[str, ErrorReport]


class ToolServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server of tools: how it is run and how it is. One that is not used yet is `idle`."""

    name: str
    kind: str
    sharing: str
    status: HealthStatus
    detail: str


class ToolServerList(msgspec.Struct, frozen=True, kw_only=True):
    servers: list[ToolServer]


class ToolServerLog(msgspec.Struct, frozen=True, kw_only=True):
    """The newest lines that the server wrote to standard error, oldest first."""

    lines: list[str]


class CallTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call by hand: the system's rules hold, those of agents do not. `timeout` is in seconds."""

    arguments: dict[str, Any] = {}
    timeout: Annotated[float, msgspec.Meta(gt=0)] | None = None


class ToolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool answered. `text` is how a model would read it; `duration` is in seconds."""

    tool: str
    text: str
    content: list[ContentPart]
    structured: Any
    failed: bool
    error: ErrorReport | None
    duration: float

    @classmethod
    def of(cls, result: ToolResult) -> "ToolAnswer":
        return cls(
            tool=str(result.tool),
            text=result.text(),
            content=list(result.content),
            structured=result.structured,
            failed=result.failed,
            error=result.error,
            duration=result.duration,
        )


class DecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call may be made, the rule that decided, where that stands, and the whole in a sentence."""

    tool: str
    agent: str | None
    verdict: Verdict
    rule: str
    where: str
    why: str

    @classmethod
    def of(cls, decision: ToolDecision) -> "DecisionView":
        return cls(
            tool=str(decision.tool),
            agent=decision.agent,
            verdict=decision.verdict,
            rule=decision.rule,
            where=decision.where,
            why=decision.why,
        )


class ViolationView(msgspec.Struct, frozen=True, kw_only=True):
    """A refused call: when (seconds since the epoch, UTC), who, what, and which rule."""

    at: float
    arguments: dict[str, Any]
    request: str | None
    decision: DecisionView

    @classmethod
    def of(cls, violation: ToolViolation) -> "ViolationView":
        call = violation.call
        return cls(
            at=violation.at,
            arguments=call.arguments,
            request=call.request,
            decision=DecisionView.of(violation.decision),
        )


class ViolationList(msgspec.Struct, frozen=True, kw_only=True):
    violations: list[ViolationView]


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for a person's yes. Times are in seconds since the epoch, UTC."""

    id: str
    tool: str
    agent: str | None
    arguments: dict[str, Any]
    why: str
    asked_at: float
    expires_at: float

    @classmethod
    def of(cls, pending: PendingApproval) -> "ApprovalView":
        return cls(
            id=pending.id,
            tool=str(pending.call.tool),
            agent=pending.call.agent,
            arguments=pending.call.arguments,
            why=pending.decision.why,
            asked_at=pending.asked_at,
            expires_at=pending.expires_at,
        )


class ApprovalList(msgspec.Struct, frozen=True, kw_only=True):
    approvals: list[ApprovalView]


class AnswerApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Yes or no, who says so, and why."""

    granted: bool
    by: str = ""
    reason: str = ""


class ApprovalAnswered(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    granted: bool


class DeployWasm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WebAssembly server: a WASI command that speaks MCP on standard input and output.

    `module` and `signature` (Ed25519, of the module) are base64; `sha256` in hexadecimal pins the module. It sees
    nothing of this machine; what it may use is bounded by `limits`.
    """

    name: str
    module: bytes
    sha256: str = ""
    signature: bytes = b""
    limits: WasmLimits = WasmLimits()


class WasmDeployed(msgspec.Struct, frozen=True, kw_only=True):
    """The server is there. `size` is in bytes, `memory` what the module starts with; `tools` are those it offers."""

    name: str
    sha256: str
    size: int
    memory: int
    tools: list[str]


class WasmRemoved(msgspec.Struct, frozen=True, kw_only=True):
    name: str


class ToolsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`server` leaves out the tools of all others."""

    server: str | None = None


class ExplainQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Without an agent, whether a call by hand may be made. `arguments` is a JSON object."""

    agent: str | None = None
    arguments: str | None = None


class ViolationsQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: PageSize = 50


SERVER_ERRORS = (Code.TOOL_SERVER_UNKNOWN, Code.TOOL_SERVER_UNAVAILABLE)
TOOL_ERRORS = (*SERVER_ERRORS, Code.TOOL_NOT_FOUND)

LIST = Operation(
    name="tools.list",
    method="GET",
    path="/tools",
    summary="List the tools of all servers; starts those that do not run",
    permission="tools:read",
    response=ToolList,
    query=ToolsQuery,
    errors=(Code.TOOL_SERVER_UNKNOWN,),
)
SERVERS = Operation(
    name="tools.servers",
    method="GET",
    path="/tools/servers",
    summary="List the servers of tools",
    permission="tools:read",
    response=ToolServerList,
)
VIOLATIONS = Operation(
    name="tools.violations",
    method="GET",
    path="/tools/violations",
    summary="The newest calls that were refused",
    permission="tools:read",
    response=ViolationList,
    query=ViolationsQuery,
)
APPROVALS = Operation(
    name="tools.approvals",
    method="GET",
    path="/tools/approvals",
    summary="The calls that wait for a person's yes",
    permission="tools:read",
    response=ApprovalList,
)
ANSWER = Operation(
    name="tools.answer",
    method="POST",
    path="/tools/approvals/{id}",
    summary="Say yes or no to a waiting call",
    permission="tools:approve",
    response=ApprovalAnswered,
    body=AnswerApproval,
    body_kind=BodyKind.JSON,
    errors=(Code.APPROVAL_NOT_FOUND,),
)
LOGS = Operation(
    name="tools.logs",
    method="GET",
    path="/tools/servers/{name}/logs",
    summary="The newest lines of a tool server's log",
    permission="tools:read",
    response=ToolServerLog,
    errors=(Code.TOOL_SERVER_UNKNOWN,),
)
RESTART = Operation(
    name="tools.restart",
    method="POST",
    path="/tools/servers/{name}/restart",
    summary="Restart a tool server",
    permission="tools:operate",
    response=ToolServerList,
    errors=(Code.TOOL_SERVER_UNKNOWN,),
)
DEPLOY = Operation(
    name="tools.deploy",
    method="POST",
    path="/tools/wasm",
    summary="Add a WebAssembly tool server, or replace one that was added so",
    permission="tools:deploy",
    response=WasmDeployed,
    status=201,
    body=DeployWasm,
    body_kind=BodyKind.JSON,
    errors=(Code.TOOL_SERVER_EXISTS, Code.TOOL_SERVER_UNAVAILABLE),
)
UNDEPLOY = Operation(
    name="tools.undeploy",
    method="DELETE",
    path="/tools/wasm/{name}",
    summary="Remove a WebAssembly tool server that was added over HTTP",
    permission="tools:deploy",
    response=WasmRemoved,
    errors=(Code.TOOL_SERVER_UNKNOWN,),
)
SHOW = Operation(
    name="tools.show",
    method="GET",
    path="/tools/{name}",
    summary="Show a tool",
    permission="tools:read",
    response=ToolView,
    errors=TOOL_ERRORS,
)
CALL = Operation(
    name="tools.call",
    method="POST",
    path="/tools/{name}/call",
    summary="Call a tool by hand",
    permission="tools:call",
    response=ToolAnswer,
    body=CallTool,
    body_kind=BodyKind.JSON,
    errors=(Code.TOOL_NOT_FOUND,),
)
EXPLAIN = Operation(
    name="tools.explain",
    method="GET",
    path="/tools/{name}/explain",
    summary="Whether a call may be made, and which rule says so",
    permission="tools:read",
    response=DecisionView,
    query=ExplainQuery,
    errors=(Code.TOOL_NOT_FOUND,),
)
APPROVE = Operation(
    name="tools.approve",
    method="POST",
    path="/tools/{name}/approve",
    summary="Take a tool's present description for the approved one",
    permission="tools:approve",
    response=ToolView,
    errors=TOOL_ERRORS,
)

OPERATIONS = (
    LIST,
    SERVERS,
    VIOLATIONS,
    APPROVALS,
    ANSWER,
    LOGS,
    RESTART,
    DEPLOY,
    UNDEPLOY,
    SHOW,
    CALL,
    EXPLAIN,
    APPROVE,
)
