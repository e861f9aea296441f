"""Environment variables in settings: named in the file, read when a server starts, kept nowhere."""

import re
from collections.abc import Mapping

from caxton.domain.errors import CaxtonError, Code

VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
"""`${NAME}` and `${NAME:-default}`, as Claude's files have them; `${env:NAME}`, as VS Code's."""

INHERITED = (
    *("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"),
    *("APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATHEXT", "PROCESSOR_ARCHITECTURE"),
    *("PROGRAMDATA", "PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE"),
)
"""What every program may need, and no secret is kept in."""


def variable(name: str, environ: Mapping[str, str], server: str) -> str:
    """The value of a variable; CaxtonError `tool_server_unavailable` where it is not set."""
    value = environ.get(name)
    if value is None:
        raise CaxtonError(
            Code.TOOL_SERVER_UNAVAILABLE,
            f"The tool server {server!r} needs the environment variable {name!r}, which is not set.",
            hint=f"Set {name} where Caxton is started, then call again.",
        )
    return value


def expand(text: str, environ: Mapping[str, str], server: str) -> str:
    """`text` with its variables put in; CaxtonError as `variable`, for one without a default."""

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        return environ.get(name, default) if default is not None else variable(name, environ, server)

    return VARIABLE.sub(value, text)


def environment(
    configured: Mapping[str, str], inherit: tuple[str, ...], environ: Mapping[str, str], server: str
) -> dict[str, str]:
    """The whole environment of a subprocess: what all may see, what is let through by name, what is configured."""
    seen = {name: environ[name] for name in (*INHERITED, *inherit) if name in environ}
    return seen | {name: expand(value, environ, server) for name, value in configured.items()}
