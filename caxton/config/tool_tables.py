"""`[tools]` and `[mcp_servers.NAME]` of the server file: the rules for tools and where they come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from caxton.config.check import FileModel, shown, wrong
from caxton.config.fields import Duration, Filled, Size, ToolPattern, Url, Variable
from caxton.config.location import resolve
from caxton.domain.tool import is_server_name
from caxton.domain.tool_settings import (
    ArgumentRule,
    McpServerSettings,
    OnChange,
    Sharing,
    Starting,
    ToolPolicy,
    ToolSettings,
)

WAYS = ("standard", "command", "url", "wasm", "kind")


def _server_name(name: str) -> str:
    if is_server_name(name):
        return name
    raise wrong(f"{shown(name)} is no server's name: lower-case letters, digits, '-' and '_', 64 at most, no dot")


ServerName = Annotated[str, AfterValidator(_server_name)]


class RuleTable(FileModel):
    """`[[tools.rules]]`: what an argument may be. A call without the argument is refused too."""

    tool: ToolPattern = Field(description='The tools: "files.write_*".')
    argument: Filled = Field(description="The argument's name, dotted where it lies deeper.")
    path_prefixes: list[Filled] = Field([], description="It is a path at or below one of these.")
    hosts: list[Filled] = Field([], description='It is a URL or host among these: "*.example.com".')
    agents: list[Filled] = Field(["*"], description="For these agents.")

    @model_validator(mode="after")
    def _bounded(self) -> "RuleTable":
        if not (self.path_prefixes or self.hosts):
            raise wrong("a rule needs 'path_prefixes' or 'hosts'")
        return self


class ToolsTable(FileModel):
    """`[tools]`: the rules for all agents. A call needs a pattern of the agent's file and one of `allow`."""

    allow: list[ToolPattern] = Field(["*"], description="Tools that agents may be given.")
    deny: list[ToolPattern] = Field([], description="Tools that none may use; goes before all else.")
    approve: list[ToolPattern] = Field([], description="Tools whose calls wait for a person's yes.")
    approval_timeout: Duration = Field(300.0, description='How long they wait: "5m".')
    on_change: Literal["block", "flag"] = Field(
        "block", description="What becomes of a tool whose description is not the approved one any more."
    )
    mcp_json: list[Filled] = Field([], description="Files with `mcpServers` in JSON, as other programs have them.")
    wasm_public_key: Filled | None = Field(
        None, description="Ed25519 key in base64: WebAssembly modules sent over HTTP have to be signed by its owner."
    )
    rules: list[RuleTable] = Field([], description="What arguments may be.")


class McpServerTable(FileModel):
    """`[mcp_servers.NAME]`: a server of tools: one that comes with Caxton, a command, a URL or a WebAssembly module."""

    standard: Literal["calculator", "files", "http", "time"] | None = Field(None, description="One of Caxton's own.")
    command: Filled | None = Field(None, description="The program to run; it speaks MCP on standard input and output.")
    url: Url | None = Field(None, description="The endpoint of a server that is reached by streamable HTTP.")
    wasm: dict[str, Any] | None = Field(None, description="A WebAssembly module and its limits.")
    kind: Filled | None = Field(None, description="Another kind, of an installed package.")
    args: list[str] = Field([], description="The program's arguments.")
    cwd: Filled | None = Field(None, description="The program's working directory.")
    env: dict[str, str] = Field(
        {}, description="Variables for the program; ${NAME} stands for one of the server's own."
    )
    inherit: list[Variable] = Field([], description="Variables of the server's own that the program sees.")
    headers: dict[str, str] = Field({}, description="For a URL; ${NAME} stands for an environment variable.")
    bearer_env: Variable | None = Field(None, description="For a URL: the environment variable with the token.")
    start: Literal["lazy", "eager"] = Field("lazy", description="At the first use, or with the server.")
    sharing: Literal["shared", "agent"] = Field("shared", description="One process for all agents, or one for each.")
    timeout: Duration = Field(60.0, description="Longest call.")
    start_timeout: Duration = Field(30.0, description="Longest start.")
    max_result_bytes: Size = Field(10_485_760, description="Largest result.")
    roots: list[Filled] = Field([], description="Directories that the server is told it may work in.")
    sampling: bool = Field(False, description="Whether the server may ask for answers of a language model.")
    disabled: bool = Field(False, description="Leave it out.")

    @model_validator(mode="after")
    def _one_way(self) -> "McpServerTable":
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            said = f"this one has {' and '.join(repr(way) for way in given)}" if given else "this one has none"
            raise wrong(f"a tool server has one of {', '.join(map(repr, WAYS))}; {said}")
        return self


def tool_settings(tools: ToolsTable, servers: Mapping[str, McpServerTable], base: Path) -> ToolSettings:
    """What the tables come to; paths are relative to `base`."""
    policy = ToolPolicy(
        allow=tuple(tools.allow),
        deny=tuple(tools.deny),
        approve=tuple(tools.approve),
        rules=tuple(
            ArgumentRule(
                tool=rule.tool,
                argument=rule.argument,
                path_prefixes=tuple(rule.path_prefixes),
                hosts=tuple(rule.hosts),
                agents=tuple(rule.agents),
            )
            for rule in tools.rules
        ),
        approval_timeout=tools.approval_timeout,
        on_change=OnChange(tools.on_change),
    )
    return ToolSettings(
        servers={name: _server(name, table, base) for name, table in servers.items()},
        policy=policy,
        mcp_json=tuple(resolve(path, base) for path in tools.mcp_json),
        wasm_public_key=tools.wasm_public_key or "",
    )


def _server(name: str, table: McpServerTable, base: Path) -> McpServerSettings:
    options: dict[str, object] = {}
    match table:
        case McpServerTable(standard=str() as server):
            kind, options = "standard", {"server": server}
        case McpServerTable(url=str()):
            kind = "http"
        case McpServerTable(wasm=dict() as wasm):
            kind, options = "wasm", wasm
        case McpServerTable(kind=str() as other):
            kind = other
        case _:
            kind = "stdio"
    return McpServerSettings(
        name=name,
        kind=kind,
        command=table.command or "",
        args=tuple(table.args),
        cwd=resolve(table.cwd, base) if table.cwd else base,
        env=table.env,
        inherit=tuple(table.inherit),
        url=table.url or "",
        headers=table.headers,
        bearer_env=table.bearer_env,
        start=Starting(table.start),
        sharing=Sharing(table.sharing),
        timeout=table.timeout,
        start_timeout=table.start_timeout,
        max_result_bytes=table.max_result_bytes,
        roots=tuple(resolve(root, base) for root in table.roots),
        sampling=table.sampling,
        disabled=table.disabled,
        options=options,
    )
