"""How a server is set up, once flags, environment and file have been merged and found right."""

from pathlib import Path

import msgspec

from caxton.domain.bus_settings import BusSettings
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.limits import ModelLimits, Price
from caxton.domain.tool_settings import ToolSettings


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One configured provider. None leaves a choice to the kind's own default.

    The key is read from the environment variable that `api_key_env` names or from `api_key_file`, and stands nowhere
    else. `timeout` is in seconds for one whole completion; `context_length` in tokens. `temperature`, `top_p` and
    `max_tokens` hold where an agent does not choose itself. `tools`, `vision` and `json_schema` say what the model can
    do where the kind cannot know. `retries` is how often a request is sent again that failed for a while only;
    after `breaker_failures` failures in a row the endpoint is left alone for `breaker_pause` seconds.

    `model_path`, `threads` and `parallel` (answers at once) are for models we run ourselves, `keep_alive` (seconds that
    a model stays loaded) and `gpu_layers` for those that Ollama runs; `script` is for the scripted kind that tests use.
    """

    name: str
    kind: str
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_file: Path | None = None
    timeout: float = 60.0
    context_length: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    json_schema: bool | None = None
    retries: int = 2
    breaker_failures: int = 5
    breaker_pause: float = 30.0
    limits: ModelLimits = ModelLimits()
    price: Price | None = None
    model_path: Path | None = None
    threads: int | None = None
    parallel: int = 2
    keep_alive: float | None = None
    gpu_layers: int | None = None
    script: Path | None = None


class EmbedderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What turns texts into vectors; None leaves a choice to the kind's own default.

    `weights` and `tokenizer` are files, for kind `onnx`; `device` is for kind `sentence-transformers`; `base_url`,
    `api_key_env` and `dimension` (numbers of a vector) are for kind `openai`.
    """

    kind: str = "onnx"
    model: str | None = None
    weights: Path | None = None
    tokenizer: Path | None = None
    device: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    dimension: int | None = None


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where memories are kept. The other fields are for backends elsewhere; the key is in an environment variable.

    Without `backend_url` it is where such a server is on this machine.
    """

    backend: str = "sqlite"
    backend_url: str | None = None
    backend_key_env: str | None = None
    collection: str = "caxton"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the server is told at start. `file` is the caxton.toml it was read from, if any.

    `allowed_hosts` are names beyond its own by which clients may call it.
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
    allowed_hosts: tuple[str, ...] = ()
    drain_timeout: float = 10.0
    providers: dict[str, ProviderSettings] = {}
    embedder: EmbedderSettings = EmbedderSettings()
    memory: MemorySettings = MemorySettings()
    bus: BusSettings = BusSettings()
    tools: ToolSettings = ToolSettings()
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
