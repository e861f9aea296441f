"""The JSON that people have for their MCP servers already: Claude's `mcpServers`, VS Code's `servers`.

What only another program can do is reported, never guessed: inputs that VS Code asks its user for, folders of a
workspace. Comments and trailing commas, which VS Code allows, are taken.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.tool import is_server_name
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.variables import VARIABLE

KINDS: Mapping[str, str] = {"stdio": "stdio", "http": "http", "streamable-http": "http", "streamableHttp": "http"}
KNOWN = frozenset(
    ("args", "command", "cwd", "disabled", "env", "headers", "timeout", "transport", "type", "url"),
)
WORKSPACE = ("${workspaceFolder}", "${workspaceFolderBasename}", "${userHome}", "${pathSeparator}", "${/}")
"""What VS Code puts its own values in for; there are no environment variables of these names."""
_FOREIGN = re.compile(r"\$\{[^}]*\}")
_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


class McpJson(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has. A server with an error among the diagnostics is not in `servers`."""

    servers: Mapping[str, McpServerSettings]
    diagnostics: tuple[Diagnostic, ...]


def read_mcp_json(text: str, path: Path) -> McpJson:
    """The servers of a file, and everything that is wrong or strange in it. `timeout` is in milliseconds there."""
    reader = _Reader(str(path))
    reader.read(text)
    return McpJson(servers=reader.servers, diagnostics=tuple(reader.diagnostics))


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self.servers: dict[str, McpServerSettings] = {}
        self.diagnostics: list[Diagnostic] = []

    def read(self, text: str) -> None:
        plain = _COMMENT.sub(lambda m: m[0] if m[0].startswith('"') else " ", text.removeprefix("\ufeff"))
        plain = _TRAILING.sub(lambda m: m[0] if m[0].startswith('"') else "", plain)
        try:
            whole = msgspec.json.decode(plain)
        except (msgspec.DecodeError, RecursionError) as error:
            self._report("malformed_json", "", f"The file is no JSON: {error}.")
            return
        servers, key = _table_of(whole)
        if servers is None:
            self._report("missing_key", "", "There are no servers in it.", "Expected an object 'mcpServers'.")
            return
        for name, entry in servers.items():
            self._server(str(name), entry, f"{key}.{name}")

    def _server(self, called: str, entry: object, key: str) -> None:
        name = re.sub(r"[^a-z0-9_-]+", "-", called.lower()).strip("-_")[:64]
        if not is_server_name(name):
            self._report("invalid_name", key, f"{called!r} is no server's name.", "Use letters and digits.")
            return
        if name in self.servers:
            self._report("duplicate_name", key, f"There are two servers {name!r}.", "Rename one of them.")
            return
        if name != called:
            self._warn("renamed", key, f"The server {called!r} is called {name!r} here.")
        if not isinstance(entry, dict):
            self._report("wrong_type", key, f"A server is an object, not {entry!r:.80}.")
            return
        for strange in sorted(entry.keys() - KNOWN):
            self._warn("ignored_key", f"{key}.{strange}", f"{strange!r} means nothing here and is passed over.")
        errors = len(self.diagnostics)
        settings = self._settings(name, entry, key)
        if settings and not any(one.is_error for one in self.diagnostics[errors:]):
            self.servers[name] = settings

    def _settings(self, name: str, entry: dict[str, object], key: str) -> McpServerSettings | None:
        said = entry.get("type") or entry.get("transport") or ("http" if "url" in entry else "stdio")
        kind = KINDS.get(str(said))
        if kind is None:
            hint = "Expected 'stdio' or 'http'; most servers that speak 'sse' speak 'http' too, often at /mcp."
            self._report("unknown_transport", f"{key}.type", f"The transport {said!r} is not known.", hint)
            return None
        needed = "command" if kind == "stdio" else "url"
        if not isinstance(entry.get(needed), str) or not entry[needed]:
            self._report("missing_key", key, f"The server {name!r} has no {needed!r}.")
            return None
        try:
            shape = msgspec.convert(entry, _Shape)
        except msgspec.ValidationError as error:
            self._report("wrong_type", key, f"The server {name!r} is not as it should be: {error}.")
            return None
        for value in (
            shape.command,
            shape.url,
            shape.cwd or "",
            *shape.args,
            *shape.env.values(),
            *shape.headers.values(),
        ):
            self._variables(value, key)
        defaults = McpServerSettings(name=name)
        return McpServerSettings(
            name=name,
            kind=kind,
            command=shape.command,
            args=shape.args,
            cwd=Path(shape.cwd) if shape.cwd else None,
            env=shape.env,
            url=shape.url,
            headers=shape.headers,
            timeout=shape.timeout / 1000 if shape.timeout else defaults.timeout,
            disabled=shape.disabled,
        )

    def _variables(self, value: str, key: str) -> None:
        for foreign in _FOREIGN.findall(value):
            if foreign in WORKSPACE or not VARIABLE.fullmatch(foreign):
                hint = "Write ${NAME}, and set the environment variable NAME where Caxton is started."
                self._report("unknown_variable", key, f"Only another program knows what {foreign!r} stands for.", hint)

    def _report(self, code: str, key: str, message: str, hint: str = "") -> None:
        self.diagnostics.append(Diagnostic(code=code, message=message, file=self._file, key=key, hint=hint))

    def _warn(self, code: str, key: str, message: str) -> None:
        self.diagnostics.append(
            Diagnostic(code=code, message=message, file=self._file, key=key, severity=Severity.WARNING)
        )


class _Shape(msgspec.Struct):
    """An entry's own types."""

    command: str = ""
    args: tuple[str, ...] = ()
    cwd: str | None = None
    env: dict[str, str] = {}
    url: str = ""
    headers: dict[str, str] = {}
    timeout: float | None = None
    disabled: bool = False


def _table_of(whole: object) -> tuple[dict[object, object] | None, str]:
    """The object that has the servers, wherever the program that the file was made for keeps it."""
    if isinstance(whole, dict):
        for key in ("mcpServers", "servers"):
            if isinstance(whole.get(key), dict):
                return whole[key], key
        if isinstance(whole.get("mcp"), dict):
            found, key = _table_of(whole["mcp"])
            return found, f"mcp.{key}"
    return None, ""
