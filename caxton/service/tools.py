"""The operations on tools."""

import asyncio
from typing import Protocol

import msgspec

from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.ports.tools import Approvals, SecurityLog, ToolHost, Tools
from caxton.domain.tool import Approval, ToolCall, ToolName, ToolSchema
from caxton.domain.tool_settings import McpServerSettings, ToolSettings, WasmLimits
from caxton.service.api.tools import (
    AnswerApproval,
    ApprovalAnswered,
    ApprovalList,
    ApprovalView,
    CallTool,
    DecisionView,
    DeployWasm,
    ToolAnswer,
    ToolList,
    ToolServer,
    ToolServerList,
    ToolServerLog,
    ToolView,
    ViolationList,
    ViolationView,
    WasmDeployed,
    WasmRemoved,
)


class Hosts(Protocol):
    """The servers of a catalogue."""

    def settings(self) -> list[McpServerSettings]: ...

    def running(self, server: str | None = None) -> list[tuple[str, ToolHost]]: ...


class Catalogue(Tools, Protocol):
    """All tools as operators see them; `tools.catalogue.Catalogue` is one."""

    @property
    def hosts(self) -> Hosts: ...

    @property
    def approvals(self) -> Approvals: ...

    @property
    def violations(self) -> SecurityLog: ...

    async def listing(self, server: str | None = None) -> tuple[list[ToolSchema], dict[str, ErrorReport]]: ...

    async def schema(self, tool: ToolName, agent: str | None = None) -> ToolSchema: ...

    async def approve_tool(self, tool: ToolName) -> ToolSchema: ...

    def logs(self, server: str) -> list[str]: ...

    @property
    def settings(self) -> ToolSettings: ...

    async def replace(self, settings: ToolSettings) -> None: ...


class ModuleFacts(Protocol):
    """What a WebAssembly module is."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def memory(self) -> int: ...


class Deployments(Protocol):
    """The servers that were sent over HTTP; `tools.deployments.Deployments` is one."""

    def servers(self) -> dict[str, McpServerSettings]: ...

    def add(
        self, name: str, module: bytes, *, sha256: str, signature: bytes, limits: WasmLimits
    ) -> tuple[McpServerSettings, ModuleFacts]: ...

    def remove(self, name: str) -> bool: ...


class ToolService:
    """One method an operation of `service.api.tools`."""

    def __init__(self, *, catalogue: Catalogue, deployments: Deployments, new_id: IdSource) -> None:
        self._catalogue = catalogue
        self._deployments = deployments
        self._new_id = new_id

    async def list(self, *, server: str | None = None) -> ToolList:
        schemas, failures = await self._catalogue.listing(server)
        return ToolList(tools=[ToolView.of(schema) for schema in schemas], failures=failures)

    async def show(self, *, name: str) -> ToolView:
        return ToolView.of(await self._catalogue.schema(ToolName.parse(name)))

    async def call(self, *, name: str, body: CallTool) -> ToolAnswer:
        """What goes wrong with the call is in the answer; that there is no such tool is an error of the request."""
        call = ToolCall(id=self._new_id(), tool=ToolName.parse(name), arguments=body.arguments, timeout=body.timeout)
        return ToolAnswer.of(await self._catalogue.call(call))

    async def explain(self, *, name: str, agent: str | None = None, arguments: str | None = None) -> DecisionView:
        given = None
        if arguments is not None:
            try:
                given = msgspec.json.decode(arguments, type=dict[str, object])
            except msgspec.MsgspecError as error:
                raise CaxtonError(Code.PARAMETER_INVALID, f"`arguments` has to be a JSON object: {error}.") from error
        return DecisionView.of(self._catalogue.explain(agent, ToolName.parse(name), given))

    async def approve(self, *, name: str) -> ToolView:
        return ToolView.of(await self._catalogue.approve_tool(ToolName.parse(name)))

    async def servers(self) -> ToolServerList:
        return ToolServerList(servers=[self._server(one) for one in self._catalogue.hosts.settings()])

    async def logs(self, *, name: str) -> ToolServerLog:
        return ToolServerLog(lines=self._catalogue.logs(name))

    async def restart(self, *, name: str) -> ToolServerList:
        """Whatever runs of the server; what does not run yet starts at its first use anyway."""
        self._catalogue.logs(name)
        for _, host in self._catalogue.hosts.running(name):
            await host.restart()
        return await self.servers()

    async def deploy(self, *, body: DeployWasm) -> WasmDeployed:
        """Keep the module and start it: one that does not answer is refused, and nothing is left of it."""
        settings = self._catalogue.settings
        deployed = await asyncio.to_thread(self._deployments.servers)
        if body.name in settings.servers and body.name not in deployed:
            raise CaxtonError(Code.TOOL_SERVER_EXISTS, f"The server file has a tool server {body.name!r} already.")
        server, facts = await asyncio.to_thread(
            self._deployments.add,
            body.name,
            body.module,
            sha256=body.sha256,
            signature=body.signature,
            limits=body.limits,
        )
        await self._catalogue.replace(
            msgspec.structs.replace(settings, servers={**settings.servers, body.name: server})
        )
        schemas, failures = await self._catalogue.listing(body.name)
        if failure := failures.get(body.name):
            await self.undeploy(name=body.name)
            raise failure.error()
        return WasmDeployed(
            name=body.name,
            sha256=facts.sha256,
            size=facts.size,
            memory=facts.memory,
            tools=[str(schema.name) for schema in schemas],
        )

    async def undeploy(self, *, name: str) -> WasmRemoved:
        if not await asyncio.to_thread(self._deployments.remove, name):
            raise CaxtonError(Code.TOOL_SERVER_UNKNOWN, f"No tool server {name!r} was added over HTTP.")
        settings = self._catalogue.settings
        servers = {key: one for key, one in settings.servers.items() if key != name}
        await self._catalogue.replace(msgspec.structs.replace(settings, servers=servers))
        return WasmRemoved(name=name)

    async def violations(self, *, limit: int = 50) -> ViolationList:
        found = self._catalogue.violations.violations(limit)
        return ViolationList(violations=[ViolationView.of(one) for one in found])

    async def approvals(self) -> ApprovalList:
        return ApprovalList(approvals=[ApprovalView.of(one) for one in self._catalogue.approvals.pending()])

    async def answer(self, *, id: str, body: AnswerApproval) -> ApprovalAnswered:
        approval = Approval(id=id, granted=body.granted, by=body.by, reason=body.reason)
        if not self._catalogue.approvals.answer(approval):
            raise CaxtonError(Code.APPROVAL_NOT_FOUND, f"No call waits for an answer under the id {id!r}.")
        return ApprovalAnswered(id=id, granted=body.granted)

    def _server(self, settings: McpServerSettings) -> ToolServer:
        status, detail = HealthStatus.IDLE, "switched off" if settings.disabled else ""
        reports = [host.health() for _, host in self._catalogue.hosts.running(settings.name)]
        if reports:
            worst = max(reports, key=_badness)
            status, detail = worst.status, worst.detail
        return ToolServer(
            name=settings.name, kind=settings.kind, sharing=settings.sharing.value, status=status, detail=detail
        )


def _badness(health: ComponentHealth) -> int:
    order = [HealthStatus.IDLE, HealthStatus.OK, HealthStatus.LOADING, HealthStatus.DEGRADED, HealthStatus.FAILED]
    return order.index(health.status)
