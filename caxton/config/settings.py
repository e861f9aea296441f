"""The server file, and how flags, environment, file and defaults become settings."""

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from msgspec import convert
from pydantic import Field, ValidationError

from caxton.config.bus_tables import BusTable, bus_settings
from caxton.config.check import FileModel, findings, shown
from caxton.config.codes import Problem
from caxton.config.fields import BackendUrl, Filled, Names, Url, Variable
from caxton.config.limits import LimitsTable
from caxton.config.location import DEFAULT_DATA_DIR, DEFAULT_HOST, DEFAULT_PORT, find_file, resolve, variable
from caxton.config.source import read_source
from caxton.config.toml import MOST, Finding, locate, parse
from caxton.config.tool_tables import McpServerTable, ServerName, ToolsTable, tool_settings
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError
from caxton.domain.settings import EmbedderSettings, MemorySettings, ProviderSettings, ServerSettings
from caxton.domain.suggestion import did_you_mean

DEFAULT_PROVIDERS: Mapping[str, Mapping[str, str]] = {
    "local": {"kind": "local"},
    "openai": {"kind": "openai", "api_key_env": "OPENAI_API_KEY"},
}
"""The providers there are without any file; a file may change them and add others."""


class ServerTable(FileModel):
    """`[server]`. Each key has an environment variable, CAXTON_ and the key in capitals, which goes before the file."""

    host: Filled = Field(DEFAULT_HOST, description="Address to listen on; only this machine by default.")
    port: int = Field(DEFAULT_PORT, ge=1, le=65535, description="Port to listen on.")
    data_dir: Filled = Field(DEFAULT_DATA_DIR, description="Where database, log and agents are kept.")
    agents_dir: Filled | None = Field(None, description="The agents directory; `agents` in `data_dir`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What the log tells.")
    default_provider: str = Field("local", description="The provider of agents that name none.")
    allowed_hosts: Names = Field(
        [], description="Names by which clients may call it, beyond its own: those that a proxy keeps."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    drain_timeout: float = Field(10.0, ge=0, le=3600, description="Seconds that turns may take when the server stops.")


class PriceTable(FileModel):
    """`[providers.NAME.price]`: what the model costs, in US dollars for a million tokens."""

    prompt: float = Field(ge=0, description="US dollars for a million tokens of prompts.")
    completion: float = Field(ge=0, description="US dollars for a million tokens of answers.")


class ProviderTable(FileModel):
    """`[providers.NAME]`: one provider of language models."""

    kind: str = Field(description='"local" runs a model itself; "openai", "ollama" and "litellm" ask others.')
    model: str | None = Field(None, description="The model of agents that name none.")
    base_url: Url | None = Field(None, description="The endpoint; OpenAI's own where left out.")
    api_key_env: Variable | None = Field(None, description="The environment variable that holds the key.")
    api_key_file: str | None = Field(None, description="A file that holds the key and that only its owner may read.")
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds for one whole answer.")
    retries: int = Field(2, ge=0, le=10, description="How often a request that failed for a while only is repeated.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row after which the provider is left alone.")
    breaker_pause: float = Field(30.0, gt=0, le=3600, description="Seconds for which it is left alone.")
    context_length: int | None = Field(None, ge=128, description="Tokens that the model's context holds.")
    temperature: float | None = Field(None, ge=0, le=2, description="For agents that do not choose.")
    top_p: float | None = Field(None, gt=0, le=1, description="For agents that do not choose.")
    max_tokens: int | None = Field(None, ge=1, description="Longest answer, for agents that do not choose.")
    tools: bool | None = Field(None, description="Whether the model calls tools, where the kind cannot know.")
    vision: bool | None = Field(None, description="Whether the model sees pictures, where the kind cannot know.")
    json_schema: bool | None = Field(None, description="Whether answers can be held to a JSON schema.")
    limits: LimitsTable = LimitsTable()
    price: PriceTable | None = Field(None, description="What the model costs, where the list of prices does not know.")
    model_path: str | None = Field(None, description="A GGUF file to run, for kind local.")
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads, for kind local.")
    parallel: int = Field(2, ge=1, le=64, description="Answers at once, for kind local.")
    keep_alive: float | None = Field(None, ge=0, description="Seconds that a model stays loaded, for kind ollama.")
    gpu_layers: int | None = Field(None, ge=0, description="Layers of the model on the GPU, for kind ollama.")
    script: str | None = Field(None, description="A TOML file of rules, for kind scripted (tests).")


class MemoryTable(FileModel):
    """`[memory]`: where memories are kept, and what turns texts into vectors, so that they are found by meaning."""

    backend: Literal["sqlite", "qdrant", "neo4j"] = Field(
        "sqlite", description="`sqlite` is the server's own database; the others need the extra of that name."
    )
    backend_url: BackendUrl | None = Field(
        None, description="Where Qdrant or Neo4j is reached; its usual port on this machine where left out."
    )
    backend_key_env: Variable | None = Field(
        None, description="The environment variable with Qdrant's key, or with Neo4j's `USER:PASSWORD`."
    )
    collection: Filled = Field("caxton", description="The collection in Qdrant, or the label of nodes in Neo4j.")
    embedder: Literal["onnx", "sentence-transformers", "openai"] = Field(
        "onnx", description="`onnx` is built in; the others need the extra of that name, or an endpoint."
    )
    model: Filled | None = Field(None, description="The embedder's model; the kind's own where left out.")
    weights: Filled | None = Field(None, description="An ONNX file, for embedder onnx.")
    tokenizer: Filled | None = Field(None, description="A tokenizer.json, for embedder onnx.")
    device: Filled | None = Field(None, description='"cpu" or "cuda", for embedder sentence-transformers.')
    base_url: Url | None = Field(None, description="The endpoint, for embedder openai.")
    api_key_env: Variable | None = Field(None, description="The environment variable with the key, for openai.")
    dimension: int | None = Field(None, ge=1, le=65536, description="Numbers of a vector, for embedder openai.")


class ServerFile(FileModel):
    """A server file, `caxton.toml`."""

    server: ServerTable = ServerTable.model_construct()
    bus: BusTable = BusTable()
    memory: MemoryTable = MemoryTable()
    tools: ToolsTable = ToolsTable()
    mcp_servers: dict[ServerName, McpServerTable] = {}
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
    known = {*DEFAULT_PROVIDERS, *read.providers} if not diagnostics else None
    overrides, problems = _overrides(flags, environ, known)
    diagnostics += problems
    if any(diagnostic.is_error for diagnostic in diagnostics):
        raise ConfigurationError(diagnostics)
    server = read.server.model_copy(update=overrides)
    base = file.parent if file else cwd

    def path(key: str, value: str) -> Path:
        return resolve(value, cwd if key in overrides else base)

    data_dir = path("data_dir", server.data_dir)
    return ServerSettings(
        data_dir=data_dir,
        agents_dir=path("agents_dir", server.agents_dir) if server.agents_dir else data_dir / "agents",
        host=server.host,
        port=server.port,
        log_level=server.log_level,
        default_provider=server.default_provider,
        max_body_bytes=server.max_body_bytes,
        allowed_hosts=tuple(server.allowed_hosts),
        drain_timeout=server.drain_timeout,
        providers=_providers(read, base),
        embedder=_embedder(read.memory, base),
        memory=MemorySettings(**read.memory.model_dump(include={*MemorySettings.__struct_fields__})),
        bus=bus_settings(read.bus),
        tools=tool_settings(read.tools, read.mcp_servers, base),
        file=file,
        warnings=tuple(diagnostics),
    )


def diagnose_settings(source: Source, *, kinds: Collection[str]) -> list[Diagnostic]:
    """Every problem of a server file, in the order of the text."""
    try:
        data = parse(source)
    except ConfigurationError as error:
        return list(error.diagnostics)
    found = [*islice(_rules(data, kinds), MOST)]
    try:
        ServerFile.model_validate(data)
    except ValidationError as error:
        found += findings(ServerFile, error)
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
    server, providers = data.get("server", {}), data.get("providers", {})
    if not isinstance(providers, dict):
        return
    default = server.get("default_provider") if isinstance(server, dict) else None
    known = {*DEFAULT_PROVIDERS, *providers}
    if isinstance(default, str) and default not in known:
        message, hint = _unknown_default(default, known)
        yield Finding(("server", "default_provider"), Problem.UNKNOWN_PROVIDER, message, hint)
    for name, table in providers.items():
        kind = table.get("kind") if isinstance(table, dict) else None
        if isinstance(kind, str) and kind not in kinds:
            message = f"there is no provider kind {shown(kind)}; there are: {', '.join(sorted(kinds))}"
            yield Finding(("providers", name, "kind"), Problem.INVALID_VALUE, message, did_you_mean(kind, kinds))


def _unknown_default(name: str, known: Collection[str]) -> tuple[str, str]:
    message = f"the default provider {shown(name)} is not configured; configured are: {', '.join(sorted(known))}"
    return message, did_you_mean(name, known) or "Add it below [providers], or choose one of these."


def _overrides(
    flags: Mapping[str, object], environ: Mapping[str, str], providers: Collection[str] | None
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """What flags and environment say of `[server]`, and what is wrong with it; `providers` where they are known."""
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for key in ServerTable.model_fields:
        place, given = f"environment variable {variable(key)}", environ.get(variable(key)) or None
        if flags.get(key) is not None:
            place, given = f"option --{key.replace('_', '-')}", str(flags[key])
        if given is None:
            continue
        try:
            values[key] = getattr(ServerTable.model_validate({key: given}, strict=False), key)
        except ValidationError as error:
            problems += [
                Diagnostic(code=finding.code, message=finding.message, file=place, hint=finding.hint)
                for finding in findings(ServerTable, error)
            ]
        if key == "default_provider" and providers is not None and given not in providers:
            message, hint = _unknown_default(given, providers)
            problems.append(Diagnostic(code=Problem.UNKNOWN_PROVIDER, message=message, file=place, hint=hint))
    return values, problems


def _embedder(table: MemoryTable, base: Path) -> EmbedderSettings:
    fields = table.model_dump(exclude={"embedder", *MemorySettings.__struct_fields__})
    for key in ("weights", "tokenizer"):
        if fields[key] is not None:
            fields[key] = resolve(fields[key], base)
    return EmbedderSettings(kind=table.embedder, **fields)


def _providers(read: ServerFile, base: Path) -> dict[str, ProviderSettings]:
    tables: dict[str, dict[str, Any]] = {name: dict(table) for name, table in DEFAULT_PROVIDERS.items()}
    tables |= {name: table.model_dump(exclude_unset=True) for name, table in read.providers.items()}
    providers = {}
    for name, table in tables.items():
        for key in ("api_key_file", "model_path", "script"):
            if table.get(key) is not None:
                table[key] = resolve(table[key], base)
        providers[name] = convert({"name": name, **table}, ProviderSettings)
    return providers
