"""The format of agent files, and how a file becomes a definition."""

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from caxton.config.check import FileModel, did_you_mean, findings
from caxton.config.codes import Problem
from caxton.config.toml import Finding, locate, parse
from caxton.config.units import read_duration, read_size
from caxton.domain.agent import (
    AgentDefinition,
    ContextStrategy,
    ConversationOptions,
    LlmOptions,
    LoadedDefinition,
    MemoryOptions,
    MemoryScope,
    ResourceLimits,
    Source,
)
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import ConfigurationError
from caxton.domain.identifiers import is_agent_name
from caxton.domain.prompt import BUILT_IN, placeholders

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""Semantic Versioning 2.0.0, §2, §9 and §10."""
CAPABILITY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(:v[1-9]\d*)?")
TOOL_PATTERN = re.compile(r"[A-Za-z0-9_*-]+\.[A-Za-z0-9_*.-]+|\*")


def _wrong(message: str, hint: str = "") -> PydanticCustomError:
    # The words may hold braces, which the error would take for its own placeholders.
    return PydanticCustomError("caxton", "{words}", {"words": message, "hint": hint})


def _name(name: str) -> str:
    if is_agent_name(name):
        return name
    mended = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
    hint = f"Try {mended!r}." if is_agent_name(mended) else ""
    raise _wrong(f"{name!r} is not a name: 3 to 64 lower-case letters, digits and single hyphens between them", hint)


def _prompt(text: str) -> str:
    if text.strip():
        return text
    raise _wrong("'system_prompt' is empty", "Tell the agent in a sentence or two who it is and what it does.")


def _version(text: str) -> str:
    if SEMVER.fullmatch(text):
        return text
    raise _wrong(f"'version' has to be a semantic version such as \"1.0.0\", not {text!r}")


def _capability(text: str) -> str:
    if CAPABILITY.fullmatch(text):
        return text
    raise _wrong(f'a capability is written "data-analysis" or "charts:v2", not {text!r}')


def _tool(text: str) -> str:
    if TOOL_PATTERN.fullmatch(text):
        return text
    raise _wrong(f'a tool pattern is written "server.tool" or "server.*", not {text!r}')


def _duration(value: Any) -> float:
    try:
        return read_duration(value)
    except ValueError as error:
        raise _wrong(str(error), 'Write "60s", "2m" or "1m30s", or a number of seconds.') from None


def _size(value: Any) -> int:
    try:
        return read_size(value)
    except ValueError as error:
        raise _wrong(str(error), 'Write "512MB" or "2GB", or a number of bytes.') from None


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise _wrong(f"a parameter is text, a number, true or false, not {value!r}")


Capability = Annotated[str, AfterValidator(_capability)]
Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]


class LlmTable(FileModel):
    """`[llm]`: what to ask the model for."""

    model: str | None = Field(None, description="The provider's name of the model; its default where left out.")
    temperature: float | None = Field(None, ge=0, le=2, description="How freely words are chosen, 0 to 2.")
    top_p: float | None = Field(None, gt=0, le=1, description="Share of the likeliest words to choose from.")
    max_tokens: int | None = Field(None, ge=1, description="Longest answer, in tokens.")
    stop: list[str] = Field([], max_length=16, description="Texts at which the answer ends.")
    seed: int | None = Field(None, description="Makes answers repeatable, where the provider can.")


class ConversationTable(FileModel):
    """`[conversation]`: how much of what was said the model is given."""

    max_turns: int = Field(50, ge=1, le=1000, description="Most turns of the conversation given to the model.")
    context_window: int | None = Field(
        None, ge=64, description="Most tokens given to the model; as many as it holds where left out."
    )
    strategy: Literal["sliding", "summarize", "persist"] = Field(
        "sliding", description="What becomes of older turns; `sliding` forgets them."
    )


class MemoryTable(FileModel):
    """`[memory]`: what the agent keeps beyond a conversation."""

    enabled: bool = Field(False, description="Whether the agent remembers across conversations.")
    scope: Literal["agent", "workspace", "global", "session"] = Field("agent", description="Who shares the memory.")


class ResourcesTable(FileModel):
    """`[resources]`: the agent's limits."""

    max_execution_time: Duration = Field(60.0, gt=0, le=86400, description='Longest turn: "60s", "2m", "1m30s".')
    memory: Size | None = Field(None, ge=1, description='Memory of the agent\'s tools: "512MB".')
    concurrent_tools: int = Field(4, ge=1, le=100, description="Tool calls at once.")
    concurrent_turns: int = Field(4, ge=1, le=1000, description="Conversations answered at once.")


class AgentFile(FileModel):
    """An agent file."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="3 to 64 characters in kebab-case; the agent's address."
    )
    system_prompt: Annotated[str, AfterValidator(_prompt)] = Field(description="Who the agent is and what it does.")
    version: Annotated[str, AfterValidator(_version)] = Field(
        "0.1.0", description="Semantic version of the definition."
    )
    description: str = Field("", description="One line for people and for other agents.")
    capabilities: list[Capability] = Field([], description='What it can do for others: "data-analysis", "charts:v2".')
    requires: list[Capability] = Field([], description="Capabilities of other agents that it needs.")
    tools: list[Annotated[str, AfterValidator(_tool)]] = Field([], description='Tools it may call: "files.read_*".')
    llm_provider: str | None = Field(None, description="A provider's name; the server's default where left out.")
    llm: LlmTable = LlmTable()
    user_prompt_template: str | None = Field(
        None, description="Wraps each message: {{request}}, {{context}}, {{timestamp}} and your parameters."
    )
    parameters: dict[str, Annotated[str, BeforeValidator(_parameter)]] = Field(
        {}, description="Values for the template's own placeholders."
    )
    conversation: ConversationTable = ConversationTable()
    memory: MemoryTable = MemoryTable()
    resources: ResourcesTable = ResourcesTable()
    tags: list[str] = Field([], description="Words to find it by.")
    author: str = Field("", description="Who wrote it.")
    license: str = Field("", description="Under which licence.")
    documentation: str = Field("", description="Where more is written about it.")

    def definition(self) -> AgentDefinition:
        """The domain's value of this file."""
        return AgentDefinition(
            name=self.name,
            system_prompt=self.system_prompt,
            version=self.version,
            description=self.description,
            capabilities=tuple(self.capabilities),
            requires=tuple(self.requires),
            tools=tuple(self.tools),
            llm_provider=self.llm_provider,
            llm=LlmOptions(**{**self.llm.model_dump(), "stop": tuple(self.llm.stop)}),
            user_prompt_template=self.user_prompt_template,
            parameters=self.parameters,
            conversation=ConversationOptions(
                max_turns=self.conversation.max_turns,
                context_window=self.conversation.context_window,
                strategy=ContextStrategy(self.conversation.strategy),
            ),
            memory=MemoryOptions(enabled=self.memory.enabled, scope=MemoryScope(self.memory.scope)),
            resources=ResourceLimits(**self.resources.model_dump()),
            tags=tuple(self.tags),
            author=self.author,
            license=self.license,
            documentation=self.documentation,
        )


def load_definition(source: Source, *, providers: Collection[str]) -> LoadedDefinition:
    """What a file defines, with its warnings; ConfigurationError with every problem of the file.

    `providers` are the names that `llm_provider` may choose from.
    """
    data = parse(source)
    found: list[Finding] = [*_rules(data, providers)]
    file = None
    try:
        file = AgentFile.model_validate(data)
    except ValidationError as error:
        found += findings(AgentFile, error)
    diagnostics = locate(source, found) if found else []
    if file is None or any(diagnostic.is_error for diagnostic in diagnostics):
        raise ConfigurationError(diagnostics)
    return LoadedDefinition(definition=file.definition(), source=source, warnings=tuple(diagnostics))


def diagnose(source: Source, *, providers: Collection[str]) -> list[Diagnostic]:
    """Every problem of a file, errors and warnings, in the order of the text."""
    try:
        return list(load_definition(source, providers=providers).warnings)
    except ConfigurationError as error:
        return list(error.diagnostics)


def _rules(data: dict[str, Any], providers: Collection[str]) -> Iterator[Finding]:
    """What no single value can tell. Looks at raw data, so that it speaks even where other things are wrong."""
    provider = data.get("llm_provider")
    if isinstance(provider, str) and provider not in providers:
        yield Finding(
            ("llm_provider",),
            Problem.UNKNOWN_PROVIDER,
            f"there is no provider {provider!r}; configured are: {', '.join(sorted(providers))}",
            did_you_mean(provider, providers) or f"Add [providers.{provider}] to caxton.toml, or choose one of these.",
        )
    yield from _template_rules(data)
    yield from _without_effect(data)


def _template_rules(data: dict[str, Any]) -> Iterator[Finding]:
    template, parameters = data.get("user_prompt_template"), data.get("parameters", {})
    if not isinstance(template, str) or not isinstance(parameters, dict):
        return
    known = BUILT_IN | parameters.keys()
    for name in sorted({name for name, _ in placeholders(template)} - known):
        yield Finding(
            ("user_prompt_template",),
            Problem.UNKNOWN_PLACEHOLDER,
            f"nothing fills the placeholder {{{{{name}}}}}",
            did_you_mean(name, known) or f"Add {name!r} to [parameters].",
        )
    for name in sorted(parameters.keys() & BUILT_IN):
        yield Finding(
            ("parameters", name),
            Problem.INVALID_VALUE,
            f"{name!r} is filled by the server itself",
            "Choose another name.",
        )


def _without_effect(data: dict[str, Any]) -> Iterator[Finding]:
    """Keys that this version understands and does not act on."""

    def table(name: str) -> dict[str, Any]:
        value = data.get(name, {})
        return value if isinstance(value, dict) else {}

    idle = [
        (("tools",), bool(data.get("tools"))),
        (("requires",), bool(data.get("requires"))),
        (("memory", "enabled"), table("memory").get("enabled") is True),
        (("conversation", "strategy"), table("conversation").get("strategy") in ("summarize", "persist")),
        (("resources", "memory"), "memory" in table("resources")),
        (("resources", "concurrent_tools"), "concurrent_tools" in table("resources")),
    ]
    for path, used in idle:
        if used:
            message = f"{'.'.join(path)!r} has no effect in this version"
            yield Finding(path, Problem.NO_EFFECT_YET, message, at_key=True, severity=Severity.WARNING)
