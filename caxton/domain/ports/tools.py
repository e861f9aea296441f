"""The seams to tools.

`ToolHost` is one MCP server, however it runs: a new way to run servers implements it and is named in the table of
kinds (`caxton.tools.kinds`). `Tools` is all of them behind the permissions: what the turn loop and the service see.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from caxton.domain.completion import Completion, CompletionRequest
from caxton.domain.health import ComponentHealth
from caxton.domain.ports.clock import Clock
from caxton.domain.tool import (
    Approval,
    ElicitAnswer,
    Elicitation,
    PendingApproval,
    PromptLine,
    ResourcePart,
    ToolCall,
    ToolDecision,
    ToolName,
    ToolProgress,
    ToolPrompt,
    ToolResource,
    ToolResult,
    ToolSchema,
    ToolViolation,
)
from caxton.domain.tool_settings import McpServerSettings

ProgressListener = Callable[[ToolProgress], None]


class ToolHost(Protocol):
    """One server. Safe to call concurrently; it starts what it needs at the first use and mends what ends.

    What goes wrong is a CaxtonError: `tool_server_unavailable` (it does not start, it ended during the call),
    `tool_timeout`, `tool_failed` (it answered with a protocol error), `tool_malformed`, `tool_result_too_large`,
    `tool_limit_exceeded`. Cancelling a call tells the server and returns at once.
    """

    def start(self) -> None:
        """Begin to start, and return at once; harmless when repeated."""
        ...

    async def tools(self) -> tuple[ToolSchema, ...]:
        """What it offers, in its own order; cheap when nothing changed since. Fingerprints are the caller's affair."""
        ...

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        """Make a call. What the tool itself calls a failure is a result with `failed`."""
        ...

    def health(self) -> ComponentHealth: ...

    def logs(self) -> list[str]:
        """The newest lines that it wrote to standard error, or that were written about it; oldest first."""
        ...

    async def restart(self) -> None:
        """End it, and let the next use start it; calls under way fail with `tool_server_unavailable`."""
        ...

    async def aclose(self) -> None:
        """End it for good; calls under way fail with `tool_server_unavailable`. Harmless when repeated."""
        ...


@runtime_checkable
class OffersResources(Protocol):
    """A host whose server may have more than tools. Empty lists where it has not."""

    async def resources(self) -> list[ToolResource]: ...

    async def read_resource(self, uri: str) -> list[ResourcePart]: ...

    async def prompts(self) -> list[ToolPrompt]: ...

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> list[PromptLine]: ...


class Sampler(Protocol):
    """Whoever lends servers a language model."""

    async def sample(self, server: str, agent: str | None, request: CompletionRequest) -> Completion:
        """Answer a server's request, or raise CaxtonError. `agent` is whom the server works for, None if for all."""
        ...


class Elicitor(Protocol):
    """Whoever answers servers' questions to the user. Without one they are declined."""

    async def elicit(self, elicitation: Elicitation) -> ElicitAnswer: ...


class HostContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is given of the world. `agent` is whom it works for alone, None for all."""

    clock: Clock
    environ: Mapping[str, str]
    agent: str | None = None
    sampler: Sampler | None = None
    elicitor: Elicitor | None = None


class HostKind(Protocol):
    """How a host is made: what a kind's entry in the table of kinds names."""

    def __call__(self, settings: McpServerSettings, context: HostContext) -> ToolHost:
        """A host that has opened nothing yet; needs a running event loop."""
        ...


class Approvals(Protocol):
    """Where calls wait for a person's yes."""

    async def ask(self, call: ToolCall, decision: ToolDecision, timeout: float) -> Approval:
        """Wait for the answer, `timeout` seconds at most. Cancelling takes the question back."""
        ...

    def pending(self) -> list[PendingApproval]:
        """The calls that wait, oldest first."""
        ...

    def answer(self, approval: Approval) -> bool:
        """Answer a waiting call; False where none of that id waits (any more)."""
        ...


class Fingerprints(Protocol):
    """Which description of each tool is the approved one."""

    def find(self, tool: ToolName) -> str | None: ...

    def approve(self, tool: ToolName, fingerprint: str) -> None: ...


class SecurityLog(Protocol):
    """Where refused calls are written down."""

    def record(self, violation: ToolViolation) -> None: ...

    def violations(self, limit: int) -> list[ToolViolation]:
        """The newest, newest first."""
        ...


class Tools(Protocol):
    """Every tool server, behind the permissions."""

    def grant(self, agent: str, patterns: Iterable[str]) -> None:
        """Have this be the agent's allow-list from now on, in calls under way too that are not made yet."""
        ...

    async def revoke(self, agent: str) -> None:
        """Forget an agent: it may call nothing, and servers that it has for itself end."""
        ...

    async def available(self, agent: str) -> tuple[ToolSchema, ...]:
        """The tools that the agent may call now, by name; starts the servers that may have some.

        A server that cannot be reached is left out and logged, as is a changed tool where the policy blocks it.
        """
        ...

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        """Check the call, wait for approval where it takes one, and make it. Raises nothing but cancellation.

        Whatever goes wrong is in the result: `error` has `tool_denied`, `tool_not_approved`, `tool_changed`,
        `tool_server_unknown` or what the host raised.
        """
        ...

    def explain(self, agent: str | None, tool: ToolName, arguments: Mapping[str, object] | None = None) -> ToolDecision:
        """What `call` would decide and by which rule; without arguments, rules for these are only named."""
        ...

    def health(self) -> list[ComponentHealth]:
        """One entry a server that is in use, failed or not."""
        ...
