"""Where a server's files are and where it listens, found out lightly.

The commands that only ask a server something need no more than this, and have no time to validate: what is wrong in a
file is for the server to say. `settings` builds on the same functions.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE_NAME = "caxton.toml"
DEFAULT_DATA_DIR = "~/.caxton"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080


class Location(NamedTuple):
    """What the light commands need to know of a server."""

    data_dir: Path
    url: str

    @property
    def pid_file(self) -> Path:
        return self.data_dir / "server.pid"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "server.log"


def variable(key: str) -> str:
    """The environment variable of a key of `[server]`."""
    return f"CAXTON_{key.upper()}"


def find_file(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The server file: `config` flag, CAXTON_CONFIG, ./caxton.toml, caxton.toml in the data directory, or none."""
    if named := flags.get("config") or environ.get("CAXTON_CONFIG"):
        return resolve(str(named), cwd)
    data_dir = flags.get("data_dir") or environ.get(variable("data_dir")) or DEFAULT_DATA_DIR
    return next((file for folder in (cwd, resolve(str(data_dir), cwd)) if _is_file(file := folder / FILE_NAME)), None)


def resolve(path: str, base: Path) -> Path:
    """A path as it is written: below `base` unless absolute, `~` for home. The `~name` of nobody stays as it is."""
    return base / os.path.expanduser(path)  # noqa: PTH111 - that of Path fails where there is no such user


def locate(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Location:
    """Data directory and URL, by flag, environment, file and default; what cannot be read counts as not there."""
    file = find_file(flags, environ, cwd)
    section = _server_section(file) if file else {}

    def setting(key: str, default: object) -> str:
        return str(flags.get(key) or environ.get(variable(key)) or section.get(key) or default)

    given = flags.get("data_dir") or environ.get(variable("data_dir"))
    base = file.parent if file and not given else cwd
    data_dir = resolve(setting("data_dir", DEFAULT_DATA_DIR), base)
    if url := flags.get("url") or environ.get("CAXTON_URL"):
        return Location(data_dir, str(url).rstrip("/"))
    return Location(data_dir, url_of(setting("host", DEFAULT_HOST), setting("port", DEFAULT_PORT)))


def url_of(host: str, port: object) -> str:
    """Where this machine reaches a server bound to `host`; a wildcard address is reached through loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be looked into, say
        return False


def _server_section(file: Path) -> Mapping[str, Any]:
    import tomli

    try:
        section = tomli.loads(file.read_text(encoding="utf-8-sig")).get("server")
    except (OSError, ValueError, RecursionError):
        return {}
    return section if isinstance(section, dict) else {}
