"""`[mcp_servers.NAME.wasm]`: what servers that are WebAssembly modules have beside what all have."""

from pathlib import Path
from typing import Annotated

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.tool_settings import McpServerSettings

MEBIBYTE = 1_048_576
PAGE = 65_536

Count = Annotated[int, msgspec.Meta(ge=1)]


class WasmSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The module, what it may use for one call, and what it may see.

    `module` is a path, as are the values of `read` and `write`, whose keys are the names by which the module sees those
    directories; all three may be relative to `cwd`. `sha256` (hexadecimal) pins the module; `public_key` (Ed25519,
    base64) demands a signature of it: 64 bytes in the file `signature`, by default the module's name with `.sig`.

    A call may use `max_fuel` units of fuel (about one an instruction; 0: they are not counted), `max_seconds` by the
    clock and `max_output_bytes`; an instance has `max_memory_bytes`. `instances` calls run at once, the others wait. An
    instance is replaced after `recycle_after` calls: at 1 no call sees what another left. `cache` is a directory for
    compiled modules, which nobody else may write; without one the module is compiled at each start.

    Arguments and variables are the `args`, `env` and `inherit` that subprocesses have too; of `inherit` only what is
    listed is seen.
    """

    module: str
    sha256: str = ""
    public_key: str = ""
    signature: str = ""
    max_module_bytes: Count = 32 * MEBIBYTE
    max_fuel: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 1_000_000_000
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=PAGE, le=4096 * MEBIBYTE)] = 64 * MEBIBYTE
    max_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    max_output_bytes: Annotated[int, msgspec.Meta(ge=1, le=128 * MEBIBYTE)] = MEBIBYTE
    instances: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    recycle_after: Count = 1000
    read: dict[str, str] = {}
    write: dict[str, str] = {}
    cache: str = ""


def wasm_settings(settings: McpServerSettings) -> WasmSettings:
    """The settings in a server's `options`; CaxtonError `tool_server_unavailable` where they are not right."""
    try:
        return msgspec.convert(dict(settings.options), WasmSettings)
    except msgspec.ValidationError as error:
        raise CaxtonError(
            Code.TOOL_SERVER_UNAVAILABLE,
            f"The WebAssembly server {settings.name!r} is not set up right.",
            why=str(error),
            hint=f"Mend [mcp_servers.{settings.name}.wasm]; there is {', '.join(WasmSettings.__struct_fields__)}.",
        ) from error


def path_in(settings: McpServerSettings, path: str) -> Path:
    """A path of the settings, `~` and `cwd` put in."""
    return (settings.cwd or Path()) / Path(path).expanduser()
