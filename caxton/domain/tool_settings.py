"""How tool servers and the rules for their use are set up, once the files have been read and found right."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec


class Starting(StrEnum):
    """`lazy`: at the first use. `eager`: with Caxton, and again at once whenever it ends."""

    LAZY = "lazy"
    EAGER = "eager"


class Sharing(StrEnum):
    """`shared`: one process for all agents. `agent`: one for each that uses it."""

    SHARED = "shared"
    AGENT = "agent"


class OAuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """OAuth 2 client credentials for a server reached by HTTP. Both `*_env` name environment variables."""

    client_id_env: str
    client_secret_env: str
    scope: str | None = None


class McpServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One `[mcp_servers.NAME]`. `kind` is `stdio`, `http` or another that the table of kinds knows.

    `command`, `args`, `cwd` and `env` are for subprocesses, `url` and `headers` for servers reached by HTTP. In the
    values of `env`, `headers` and in `args`, `${NAME}` stands for an environment variable, `${NAME:-text}` gives a
    default; they are put in when the server is started and never kept. A subprocess sees nothing else of our
    environment but what every program needs (`PATH`, `HOME` …) and the variables named in `inherit`.

    Seconds: `timeout` for a call, `start_timeout` from start until the server has said what it can do. `options` are
    what the kind alone understands. `legacy` has the 2025 handshake used without asking for a newer protocol first.
    """

    name: str
    kind: str = "stdio"
    command: str = ""
    args: tuple[str, ...] = ()
    cwd: Path | None = None
    env: Mapping[str, str] = {}
    inherit: tuple[str, ...] = ()
    url: str = ""
    headers: Mapping[str, str] = {}
    bearer_env: str | None = None
    oauth: OAuthSettings | None = None
    start: Starting = Starting.LAZY
    sharing: Sharing = Sharing.SHARED
    timeout: float = 60.0
    start_timeout: float = 30.0
    max_result_bytes: int = 10_485_760
    roots: tuple[Path, ...] = ()
    sampling: bool = False
    legacy: bool = False
    disabled: bool = False
    options: Mapping[str, object] = {}


class WasmLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a WebAssembly server may use: of fuel (about one unit an instruction), time and output for a call, of memory
    for an instance; how many instances there are, and after how many calls one is replaced.
    """

    max_fuel: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)] = 1_000_000_000
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1_073_741_824)] = 67_108_864
    max_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    max_output_bytes: Annotated[int, msgspec.Meta(ge=1, le=134_217_728)] = 1_048_576
    instances: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    recycle_after: Annotated[int, msgspec.Meta(ge=1)] = 1000


class ArgumentRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an argument of certain tools may be, for certain agents: `[[tools.rules]]`.

    `tool` is a pattern (`files.write_*`), `argument` the argument's name, dotted where it lies deeper. With
    `path_prefixes` it must be a path (or a list of them) at or below one of these; with `hosts` a URL or host that is
    one of these, or below one written `*.example.com`. A call without the argument is refused too.
    """

    tool: str
    argument: str
    path_prefixes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    agents: tuple[str, ...] = ("*",)


class OnChange(StrEnum):
    """What becomes of a tool whose description is another than the approved one: refused, or only flagged."""

    BLOCK = "block"
    FLAG = "flag"


class ToolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The system's rules: `[tools]`. A call needs a pattern of the agent and one of `allow`, and none of `deny`.

    Calls that match `approve` wait for a person's yes, `approval_timeout` seconds at most.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    approve: tuple[str, ...] = ()
    rules: tuple[ArgumentRule, ...] = ()
    approval_timeout: float = 300.0
    on_change: OnChange = OnChange.BLOCK


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a server file says of tools. `mcp_json` are files with more servers, in JSON.

    `wasm_public_key` (Ed25519, base64) demands a signature of WebAssembly modules that are sent over HTTP.
    """

    servers: Mapping[str, McpServerSettings] = {}
    policy: ToolPolicy = ToolPolicy()
    mcp_json: tuple[Path, ...] = ()
    wasm_public_key: str = ""
