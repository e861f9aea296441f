"""The server file, and how flags, environment, file and defaults become settings."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from caxton.config.check import FileModel, did_you_mean, findings
from caxton.config.codes import Problem
from caxton.config.location import DEFAULT_DATA_DIR, DEFAULT_HOST, DEFAULT_PORT, find_file, variable
from caxton.config.source import read_source
from caxton.config.toml import Finding, locate, parse
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError
from caxton.domain.settings import ProviderSettings, ServerSettings

DEFAULT_PROVIDERS: Mapping[str, Mapping[str, str]] = {
    "local": {"kind": "local"},
    "openai": {"kind": "openai", "api_key_env": "OPENAI_API_KEY"},
}
"""The providers there are without any file; a file may change them and add others."""


class ServerTable(FileModel):
    """`[server]`. Each key has an environment variable, CAXTON_ and the key in capitals, which goes before the file."""

    host: str = Field(DEFAULT_HOST, min_length=1, description="Address to listen on; only this machine by default.")
    port: int = Field(DEFAULT_PORT, ge=1, le=65535, description="Port to listen on.")
    data_dir: str = Field(DEFAULT_DATA_DIR, min_length=1, description="Where database, log and agents are kept.")
    agents_dir: str | None = Field(None, min_length=1, description="The agents directory; `agents` in `data_dir`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What the log tells.")
    default_provider: str = Field("local", description="The provider of agents that name none.")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    drain_timeout: float = Field(10.0, ge=0, le=3600, description="Seconds that turns may take when the server stops.")


class ProviderTable(FileModel):
    """`[providers.NAME]`: one provider of language models."""

    kind: str = Field(description='"local" runs a model itself; "openai" speaks the OpenAI protocol.')
    model: str | None = Field(None, description="The model of agents that name none.")
    base_url: str | None = Field(None, pattern=r"^https?://", description="The endpoint; OpenAI's own where left out.")
    api_key_env: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The environment variable that holds the key."
    )
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds for one whole answer.")
    context_length: int | None = Field(None, ge=128, description="Tokens that the model's context holds.")
    model_path: str | None = Field(None, description="A GGUF file to run, for kind local.")
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads, for kind local.")
    parallel: int = Field(2, ge=1, le=64, description="Answers at once, for kind local.")
    script: str | None = Field(None, description="A TOML file of rules, for kind scripted (tests).")


class ServerFile(FileModel):
    """A server file, `caxton.toml`."""

    server: ServerTable = ServerTable.model_construct()
    providers: dict[str, ProviderTable] = {}


def load_settings(
    *, flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path, kinds: Collection[str]
) -> ServerSettings:
    """The settings that hold: flag before environment before file before default.

    `kinds` are the kinds of provider there are. Paths of a file are relative to it, others to `cwd`.
    ConfigurationError with every problem, whichever of the three it comes from.
    """
    file = find_file(flags, environ, cwd)
    read, diagnostics = _read(file, kinds) if file else (ServerFile(), [])
    overrides, wrong = _overrides(flags, environ)
    diagnostics += wrong
    if any(diagnostic.is_error for diagnostic in diagnostics):
        raise ConfigurationError(diagnostics)
    server = read.server.model_copy(update=overrides)
    base = file.parent if file else cwd

    def path(key: str, value: str) -> Path:
        return (cwd if key in overrides else base) / Path(value).expanduser()

    data_dir = path("data_dir", server.data_dir)
    settings = ServerSettings(
        data_dir=data_dir,
        agents_dir=path("agents_dir", server.agents_dir) if server.agents_dir else data_dir / "agents",
        host=server.host,
        port=server.port,
        log_level=server.log_level,
        default_provider=server.default_provider,
        max_body_bytes=server.max_body_bytes,
        drain_timeout=server.drain_timeout,
        providers=_providers(read, base),
        file=file,
        warnings=tuple(diagnostics),
    )
    if settings.default_provider not in settings.providers:
        raise ConfigurationError([_unknown_default(settings, "default_provider" in overrides)])
    return settings


def diagnose_settings(source: Source, *, kinds: Collection[str]) -> list[Diagnostic]:
    """Every problem of a server file, in the order of the text."""
    try:
        data = parse(source)
    except ConfigurationError as error:
        return list(error.diagnostics)
    found = list(_rules(data, kinds))
    try:
        ServerFile.model_validate(data)
    except ValidationError as error:
        # The rules have more to say of a secret than that its key is unknown.
        found += [f for f in findings(ServerFile, error) if not f.path or f.path[-1] != "api_key"]
    return locate(source, found) if found else []


def configured_providers(flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> list[str]:
    """The names of the providers that hold here, whatever else is wrong in the server file."""
    file = find_file(flags, environ, cwd)
    try:
        listed = parse(read_source(file)).get("providers") if file else None
    except ConfigurationError:
        listed = None
    return sorted({*DEFAULT_PROVIDERS, *(listed if isinstance(listed, dict) else ())})


def _read(file: Path, kinds: Collection[str]) -> tuple[ServerFile, list[Diagnostic]]:
    try:
        source = read_source(file)
    except ConfigurationError as error:
        return ServerFile(), [one for one in error.diagnostics if one.code != Problem.EMPTY_FILE]
    if diagnostics := diagnose_settings(source, kinds=kinds):
        return ServerFile(), diagnostics
    return ServerFile.model_validate(parse(source)), []


def _rules(data: dict[str, Any], kinds: Collection[str]) -> Iterator[Finding]:
    providers = data.get("providers")
    for name, table in providers.items() if isinstance(providers, dict) else ():
        if not isinstance(table, dict):
            continue
        kind = table.get("kind")
        if isinstance(kind, str) and kind not in kinds:
            message = f"there is no provider kind {kind!r}; there are: {', '.join(kinds)}"
            yield Finding(("providers", name, "kind"), Problem.INVALID_VALUE, message, did_you_mean(kind, kinds))
        if "api_key" in table:
            yield Finding(
                ("providers", name, "api_key"),
                Problem.SECRET_IN_FILE,
                "keys do not belong in files",
                'Name an environment variable that holds it: api_key_env = "OPENAI_API_KEY".',
                at_key=True,
            )


def _overrides(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Diagnostic]]:
    """What flags and environment say of `[server]`, and what is wrong with it."""
    values: dict[str, Any] = {}
    wrong: list[Diagnostic] = []
    for key in ServerTable.model_fields:
        place, given = f"environment variable {variable(key)}", environ.get(variable(key)) or None
        if flags.get(key) is not None:
            place, given = f"option --{key.replace('_', '-')}", str(flags[key])
        if given is None:
            continue
        try:
            values[key] = getattr(ServerTable.model_validate({key: given}, strict=False), key)
        except ValidationError as error:
            wrong += [
                Diagnostic(code=finding.code, message=finding.message, file=place, hint=finding.hint)
                for finding in findings(ServerTable, error)
            ]
    return values, wrong


def _providers(read: ServerFile, base: Path) -> dict[str, ProviderSettings]:
    tables: dict[str, dict[str, Any]] = {name: dict(table) for name, table in DEFAULT_PROVIDERS.items()}
    tables |= {name: table.model_dump(exclude_unset=True) for name, table in read.providers.items()}
    providers = {}
    for name, table in tables.items():
        for key in ("model_path", "script"):
            if key in table:
                table[key] = base / Path(table[key]).expanduser()
        providers[name] = ProviderSettings(name=name, **table)
    return providers


def _unknown_default(settings: ServerSettings, overridden: bool) -> Diagnostic:
    name, known = settings.default_provider, settings.providers
    return Diagnostic(
        code=Problem.UNKNOWN_PROVIDER,
        message=f"the default provider {name!r} is not configured; configured are: {', '.join(sorted(known))}",
        file="environment or option" if overridden or settings.file is None else str(settings.file),
        key="server.default_provider",
        hint=did_you_mean(name, known) or f"Add [providers.{name}], or choose one of these.",
    )
