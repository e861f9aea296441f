"""How a server is set up, once flags, environment and file have been merged and found right."""

from pathlib import Path

import msgspec

from caxton.domain.diagnostics import Diagnostic


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One configured provider. None leaves a choice to the kind's own default.

    `api_key_env` names an environment variable, never the key. `timeout` is in seconds for one whole completion;
    `context_length` in tokens. `model_path`, `threads` and `parallel` (answers at once) are for models we run
    ourselves; `script` is for the scripted kind that tests use.
    """

    name: str
    kind: str
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    timeout: float = 60.0
    context_length: int | None = None
    model_path: Path | None = None
    threads: int | None = None
    parallel: int = 2
    script: Path | None = None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the server is told at start. `file` is the caxton.toml it was read from, if any.

    `drain_timeout` is how many seconds a stopping server waits for turns to end; what is cut off then is delivered
    again at the next start. `warnings` are the diagnostics of the file that are no errors.
    """

    data_dir: Path
    agents_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    log_level: str = "info"
    default_provider: str = "local"
    max_body_bytes: int = 1_048_576
    drain_timeout: float = 10.0
    providers: dict[str, ProviderSettings] = {}
    file: Path | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def database(self) -> Path:
        return self.data_dir / "caxton.db"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def pid_file(self) -> Path:
        return self.data_dir / "server.pid"
