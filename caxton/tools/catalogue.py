"""All tools behind the permissions: the way in for the turn loop, the service and the command line."""

import difflib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.health import ComponentHealth
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.tools import (
    Approvals,
    Elicitor,
    Fingerprints,
    HostContext,
    HostKind,
    OffersResources,
    ProgressListener,
    Sampler,
    SecurityLog,
    ToolHost,
)
from caxton.domain.tool import ToolCall, ToolDecision, ToolName, ToolResult, ToolSchema, ToolViolation, Verdict
from caxton.domain.tool_settings import OnChange, ToolSettings
from caxton.tools.approvals import MemoryApprovals
from caxton.tools.fingerprints import MemoryFingerprints
from caxton.tools.gathering import gathered
from caxton.tools.hosts import Hosts
from caxton.tools.kinds import host_kind
from caxton.tools.permissions import Permissions
from caxton.tools.schemas import Schemas
from caxton.tools.violations import ViolationLog

log = logging.getLogger(__name__)
security = logging.getLogger("caxton.security")


class Catalogue:
    """Implements `ports.tools.Tools`; made by `open_tools`, whose end closes it."""

    def __init__(
        self,
        *,
        permissions: Permissions,
        hosts: Hosts,
        approvals: Approvals,
        fingerprints: Fingerprints,
        security_log: SecurityLog,
        clock: Clock,
    ) -> None:
        self.permissions = permissions
        self.hosts = hosts
        self.approvals = approvals
        self.violations = security_log
        self._schemas = Schemas(fingerprints)
        self._clock = clock

    def grant(self, agent: str, patterns: Iterable[str]) -> None:
        self.permissions.grant(agent, patterns)

    async def revoke(self, agent: str) -> None:
        self.permissions.revoke(agent)
        await self.hosts.release(agent)

    async def available(self, agent: str) -> tuple[ToolSchema, ...]:
        servers = [name for name in self.hosts.names() if self.permissions.may_use(agent, name)]
        schemas, failures = await self._listed(servers, agent)
        for server, failure in failures.items():
            log.warning("agent %r does without the tools of %r: %s %s", agent, server, failure.message, failure.why)
        return tuple(
            schema
            for schema in schemas
            if self.permissions.check(agent, schema.name).allowed and not (schema.changed and self._blocks_changed)
        )

    async def listing(self, server: str | None = None) -> tuple[list[ToolSchema], dict[str, ErrorReport]]:
        """Every tool of a server or of all as an operator sees them, changed ones too; and which servers failed, why.

        CaxtonError `tool_server_unknown` where `server` is not configured.
        """
        if server is not None:
            self.hosts.get(server, None)
        schemas, failures = await self._listed([server] if server else self.hosts.names(), None)
        return schemas, {name: failure.report() for name, failure in failures.items()}

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        began = time.perf_counter()
        try:
            result = await self._call(call, progress)
        except CaxtonError as error:
            return ToolResult.refused(call, error, time.perf_counter() - began)
        except Exception as error:
            # A fault of ours or of a host must not end the turn that the call serves.
            log.exception("the call of %s failed unexpectedly", call.tool)
            fault = CaxtonError(Code.INTERNAL, f"The call of {call.tool} failed.", why=f"{type(error).__name__}")
            return ToolResult.refused(call, fault, time.perf_counter() - began)
        return ToolResult(
            call=result.call,
            tool=result.tool,
            content=result.content,
            structured=result.structured,
            failed=result.failed,
            error=result.error,
            duration=time.perf_counter() - began,
        )

    def explain(self, agent: str | None, tool: ToolName, arguments: Mapping[str, object] | None = None) -> ToolDecision:
        return self.permissions.check(agent, tool, arguments)

    async def approve_tool(self, tool: ToolName) -> ToolSchema:
        """Take a tool as it is now for the approved one. CaxtonError as `schema`."""
        schema = await self.schema(tool)
        return self._schemas.approve(schema)

    async def schema(self, tool: ToolName, agent: str | None = None) -> ToolSchema:
        """A tool as its server describes it; CaxtonError `tool_not_found`, or what the server's host raises."""
        return await self._schema(self.hosts.get(tool.server, agent), tool)

    async def replace(self, settings: ToolSettings) -> None:
        """Have other rules and other servers from now on; ValueError where a pattern is wrong, and nothing changes."""
        self.permissions.replace(settings.policy)
        await self.hosts.replace(settings.servers)

    @property
    def settings(self) -> ToolSettings:
        """The rules and servers as they are now."""
        return ToolSettings(servers={one.name: one for one in self.hosts.settings()}, policy=self.permissions.policy)

    def offers(self, server: str) -> OffersResources | None:
        """The server's resources and prompts; None where its kind has none. CaxtonError `tool_server_unknown`."""
        host = self.hosts.get(server, None)
        return host if isinstance(host, OffersResources) else None

    def logs(self, server: str) -> list[str]:
        """The newest lines of a server and of its instances; CaxtonError `tool_server_unknown`."""
        if server not in self.hosts.names():
            self.hosts.get(server, None)
        return [line for _, host in self.hosts.running(server) for line in host.logs()]

    def health(self) -> list[ComponentHealth]:
        return self.hosts.health()

    @property
    def _blocks_changed(self) -> bool:
        return self.permissions.policy.on_change is OnChange.BLOCK

    async def _call(self, call: ToolCall, progress: ProgressListener | None) -> ToolResult:
        decision = self.permissions.check(call.agent, call.tool, call.arguments)
        if decision.verdict is Verdict.DENY:
            self.violations.record(ToolViolation(at=self._clock.now(), call=call, decision=decision))
            raise CaxtonError(Code.TOOL_DENIED, decision.why)
        host = self.hosts.get(call.tool.server, call.agent)
        schema = await self._schema(host, call.tool)
        if schema.changed and self._blocks_changed:
            raise CaxtonError(Code.TOOL_CHANGED, f"{call.tool} is another than the one that was approved.")
        if decision.verdict is Verdict.ASK:
            await self._approved(call, decision)
        return await host.call(call, progress)

    async def _approved(self, call: ToolCall, decision: ToolDecision) -> None:
        """Wait for a person's yes, and for rules that still allow the call by then."""
        answer = await self.approvals.ask(call, decision, self.permissions.policy.approval_timeout)
        if not answer.granted:
            why = "nobody answered in time" if answer.expired else f"{answer.by or 'somebody'} said no"
            reason = f"{why}: {answer.reason}" if answer.reason else why
            raise CaxtonError(
                Code.TOOL_NOT_APPROVED, f"{call.tool} may not be called with these arguments.", why=reason
            )
        now = self.permissions.check(call.agent, call.tool, call.arguments)
        if now.verdict is Verdict.DENY:
            self.violations.record(ToolViolation(at=self._clock.now(), call=call, decision=now))
            raise CaxtonError(Code.TOOL_DENIED, now.why)

    async def _schema(self, host: ToolHost, tool: ToolName) -> ToolSchema:
        schemas = self._schemas.marked(await host.tools())
        schema = schemas.get(tool.tool)
        if schema is None:
            nearest = difflib.get_close_matches(tool.tool, schemas, n=1)
            hint = f"Did you mean '{tool.server}.{nearest[0]}'?" if nearest else ""
            raise CaxtonError(Code.TOOL_NOT_FOUND, f"There is no tool '{tool}'.", hint=hint)
        return schema

    async def _listed(self, servers: list[str], agent: str | None) -> tuple[list[ToolSchema], dict[str, CaxtonError]]:
        found: list[ToolSchema] = []
        failures: dict[str, CaxtonError] = {}

        async def tools_of(server: str) -> tuple[ToolSchema, ...]:
            return await self.hosts.get(server, agent).tools()

        listings = await gathered({name: tools_of(name) for name in servers})
        for name, listing in listings.items():
            if isinstance(listing, CaxtonError):
                failures[name] = listing
            else:
                found += self._schemas.marked(listing).values()
        return found, failures


@asynccontextmanager
async def open_tools(
    settings: ToolSettings,
    *,
    clock: Clock,
    new_id: Callable[[], str],
    environ: Mapping[str, str],
    kind_of: Callable[[str], HostKind] = host_kind,
    sampler: Sampler | None = None,
    elicitor: Elicitor | None = None,
    approvals: Approvals | None = None,
    fingerprints: Fingerprints | None = None,
    security_log: SecurityLog | None = None,
) -> AsyncIterator[Catalogue]:
    """The tools of a server until the end of the block; then every process that was started for them has ended.

    ValueError where a pattern of the policy is wrong. What is not given is kept in memory.
    """
    permissions = Permissions(settings.policy)
    hosts = Hosts(
        settings.servers, HostContext(clock=clock, environ=environ, sampler=sampler, elicitor=elicitor), kind_of
    )
    try:
        yield Catalogue(
            permissions=permissions,
            hosts=hosts,
            approvals=approvals or MemoryApprovals(clock, new_id),
            fingerprints=fingerprints or MemoryFingerprints(),
            security_log=security_log or ViolationLog(),
            clock=clock,
        )
    finally:
        await hosts.aclose()
