"""A tool server without a process."""

from collections.abc import Awaitable, Callable, Mapping

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.ports.tools import HostContext, HostKind, ProgressListener
from caxton.domain.tool import TextPart, ToolCall, ToolName, ToolResult, ToolSchema
from caxton.domain.tool_settings import McpServerSettings

Answer = str | CaxtonError | Callable[[ToolCall], Awaitable[str]]
"""What a tool answers: a text, an error that its host raises, or what a function makes of the call."""


class FakeToolHost:
    """Implements `ports.tools.ToolHost`. `answers` can be changed at any time; `calls` has every call that came."""

    def __init__(self, name: str, answers: Mapping[str, Answer]) -> None:
        self.name = name
        self.calls: list[ToolCall] = []
        self.starts = 0
        self.closed = False
        self._answers: dict[str, Answer] = {}
        self._schemas: tuple[ToolSchema, ...] = ()
        self.offer(answers)

    def offer(self, answers: Mapping[str, Answer], **descriptions: str) -> None:
        """Have these tools from now on."""
        self._answers = dict(answers)
        self._schemas = tuple(
            ToolSchema(
                name=ToolName(self.name, tool),
                description=descriptions.get(tool, f"The tool {tool}."),
                parameters={"type": "object"},
            )
            for tool in answers
        )

    def start(self) -> None:
        self.starts += 1

    async def tools(self) -> tuple[ToolSchema, ...]:
        if self.closed:
            raise CaxtonError(Code.TOOL_SERVER_UNAVAILABLE, f"The tool server {self.name!r} does not run.")
        return self._schemas

    async def call(self, call: ToolCall, progress: ProgressListener | None = None) -> ToolResult:
        self.calls.append(call)
        answer = self._answers[call.tool.tool]
        if isinstance(answer, CaxtonError):
            raise answer
        text = answer if isinstance(answer, str) else await answer(call)
        return ToolResult(call=call.id, tool=call.tool, content=(TextPart(text),))

    def health(self) -> ComponentHealth:
        return ComponentHealth(name=f"tool server {self.name}", status=HealthStatus.OK)

    def logs(self) -> list[str]:
        return []

    async def restart(self) -> None:
        self.starts += 1

    async def aclose(self) -> None:
        self.closed = True


class FakeToolServers:
    """Makes fake hosts where `open_tools` asks for kinds: `open_tools(…, kind_of=servers.kind_of)`."""

    def __init__(self, **servers: Mapping[str, Answer]) -> None:
        """The tools of each server, by its name."""
        self._servers = servers
        self.made: list[tuple[FakeToolHost, str | None]] = []
        """Every host that was made, with the agent that has it for itself."""

    def kind_of(self, kind: str) -> HostKind:
        return self._make

    def settings(self, **changes: object) -> dict[str, McpServerSettings]:
        """Settings for all of them; `changes` are fields of `McpServerSettings`."""
        return {name: McpServerSettings(name=name, kind="fake", **changes) for name in self._servers}  # type: ignore[arg-type]

    def __getitem__(self, server: str) -> FakeToolHost:
        """The newest host of a server."""
        return next(host for host, _ in reversed(self.made) if host.name == server)

    def _make(self, settings: McpServerSettings, context: HostContext) -> FakeToolHost:
        host = FakeToolHost(settings.name, self._servers[settings.name])
        self.made.append((host, context.agent))
        return host
