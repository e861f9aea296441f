"""The format of agent files, and how a file becomes a definition."""

import re
from collections.abc import Collection
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WithJsonSchema

from caxton.config.agent_rules import Describe, rules, unknown
from caxton.config.capability_tables import Capability, CapabilityTable
from caxton.config.check import FileModel, findings, shown, wrong
from caxton.config.contract_table import ContractNetTable
from caxton.config.fields import Duration, Filled, Retention, Size, ToolPattern
from caxton.config.limits import LimitsTable
from caxton.config.toml import MOST, locate, parse
from caxton.domain.address import EVERYBODY
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
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError
from caxton.domain.identifiers import AGENT_NAME, is_agent_name
from caxton.domain.limits import ModelLimits

SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""Semantic Versioning 2.0.0, §2, §9 and §10."""


def _name(name: str) -> str:
    if name == EVERYBODY:
        raise wrong(f"{shown(name)} is how messages are addressed to every agent", "Choose another name.")
    if is_agent_name(name):
        return name
    mended = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64]
    hint = f"Try {mended!r}." if is_agent_name(mended) else ""
    message = f"{shown(name)} is not a name: 3 to 64 lower-case letters, digits and single hyphens between them"
    raise wrong(message, hint)


def _prompt(text: str) -> str:
    if text.strip():
        return text
    raise wrong("'system_prompt' is empty", "Tell the agent in a sentence or two who it is and what it does.")


def _version(text: str) -> str:
    if SEMVER.fullmatch(text):
        return text
    raise wrong(f"'version' has to be a semantic version such as \"1.0.0\", not {shown(text)}")


def _chain(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return names
    raise wrong(f"'llm_provider' is a provider's name or a list of names, not {shown(value)}")


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise wrong(f"a parameter is text, a number, true or false, not {shown(value)}")


def _schema(pattern: re.Pattern[str], **more: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern.pattern})$", **more})


Name = Annotated[str, AfterValidator(_name), _schema(AGENT_NAME, minLength=3, maxLength=64)]
Version = Annotated[str, AfterValidator(_version), _schema(SEMVER)]
Chain = Annotated[list[str], BeforeValidator(_chain, json_schema_input_type=str | list[str])]
Parameter = Annotated[str, BeforeValidator(_parameter, json_schema_input_type=str | float | bool)]


class LlmTable(FileModel):
    """`[llm]`: what to ask the model for."""

    model: str | None = Field(None, description="The provider's name of the model; its default where left out.")
    temperature: float | None = Field(None, ge=0, le=2, description="How freely words are chosen, 0 to 2.")
    top_p: float | None = Field(None, gt=0, le=1, description="Share of the likeliest words to choose from.")
    max_tokens: int | None = Field(None, ge=1, description="Longest answer, in tokens.")
    stop: list[str] = Field([], max_length=16, description="Texts at which the answer ends.")
    seed: int | None = Field(None, description="Makes answers repeatable, where the provider can.")
    response_schema: dict[str, Any] | None = Field(
        None, description="JSON schema that every answer fits; the reply has it as `data` too."
    )


class ConversationTable(FileModel):
    """`[conversation]`: how much of what was said the model is given."""

    max_turns: int = Field(50, ge=1, le=1000, description="Most turns of the conversation given to the model.")
    context_window: int | None = Field(
        None, ge=64, description="Most tokens given to the model; as many as it holds where left out."
    )
    strategy: Literal["sliding", "summarize", "persist"] = Field(
        "sliding",
        description="What becomes of turns beyond the window: forgotten, summarised, or kept to be found again.",
    )


class MemoryTable(FileModel):
    """`[memory]`: what the agent keeps beyond a conversation."""

    enabled: bool = Field(False, description="Whether the agent remembers across conversations.")
    scope: Literal["agent", "workspace", "global", "session"] = Field(
        "agent", description="Who shares it: nobody, a workspace, all agents, or it ends with the conversation."
    )
    workspace: Filled = Field("default", description="The workspace, for scope workspace.")
    auto_recall: bool = Field(True, description="Put what fits a message into its prompt.")
    auto_store: bool = Field(True, description="Remember what the agent is told.")
    recall_limit: int = Field(5, ge=1, le=100, description="Most memories put into a prompt.")
    recall_tokens: int = Field(400, ge=16, description="Most tokens of memories put into a prompt.")
    max_entries: int | None = Field(10_000, ge=1, description="Most memories kept; the least important go first.")
    max_bytes: Size | None = Field(None, description='Most bytes of memories kept: "10MB".')
    retention: Retention | None = Field(None, description='How long memories are kept: "90d".')


class ResourcesTable(FileModel):
    """`[resources]`: the agent's limits."""

    max_execution_time: Duration = Field(60.0, description='Longest turn: "60s", "2m", "1m30s".')
    memory: Size | None = Field(None, description='Memory of the agent\'s tools: "512MB".')
    concurrent_tools: int = Field(4, ge=1, le=100, description="Tool calls at once.")
    tool_rounds: int = Field(8, ge=1, le=100, description="How often in a turn tools may be called.")
    concurrent_turns: int = Field(4, ge=1, le=1000, description="Conversations answered at once.")


class AgentFile(FileModel):
    """An agent file."""

    name: Name = Field(description="3 to 64 characters in kebab-case; the agent's address.")
    system_prompt: Annotated[str, AfterValidator(_prompt)] = Field(description="Who the agent is and what it does.")
    version: Version = Field("0.1.0", description="Semantic version of the definition.")
    description: str = Field("", description="One line for people and for other agents.")
    capabilities: list[Capability] = Field([], description='What it can do for others: "data-analysis", "charts:v2".')
    capability_details: dict[str, CapabilityTable] = Field(
        {}, description="More on some of its capabilities: what they are, and the schemas of requests and answers."
    )
    requires: list[Capability] = Field([], description="Capabilities of other agents that it needs.")
    tools: list[ToolPattern] = Field([], description='Tools it may call: "files.read_*".')
    llm_provider: Chain = Field(
        [], description="A provider's name, or several that are asked in turn until one answers; else the default."
    )
    llm: LlmTable = LlmTable()
    user_prompt_template: str | None = Field(
        None, description="Wraps each message: {{request}}, {{context}}, {{timestamp}} and your parameters."
    )
    parameters: dict[str, Parameter] = Field({}, description="Values for the template's own placeholders.")
    conversation: ConversationTable = ConversationTable()
    memory: MemoryTable = MemoryTable()
    resources: ResourcesTable = ResourcesTable()
    limits: LimitsTable = LimitsTable()
    contract_net: ContractNetTable = ContractNetTable()
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
            capability_details={name: table.details() for name, table in self.capability_details.items()},
            requires=tuple(self.requires),
            tools=tuple(self.tools),
            llm_providers=tuple(self.llm_provider),
            llm=LlmOptions(**{**self.llm.model_dump(), "stop": tuple(self.llm.stop)}),
            user_prompt_template=self.user_prompt_template,
            parameters=self.parameters,
            conversation=ConversationOptions(
                max_turns=self.conversation.max_turns,
                context_window=self.conversation.context_window,
                strategy=ContextStrategy(self.conversation.strategy),
            ),
            memory=MemoryOptions(**{**self.memory.model_dump(), "scope": MemoryScope(self.memory.scope)}),
            resources=ResourceLimits(**self.resources.model_dump()),
            limits=ModelLimits(**self.limits.model_dump()),
            contract_net=self.contract_net.policy(),
            tags=tuple(self.tags),
            author=self.author,
            license=self.license,
            documentation=self.documentation,
        )


def load_definition(source: Source, *, providers: Collection[str], describe: Describe = unknown) -> LoadedDefinition:
    """What a file defines, with its warnings; ConfigurationError with every problem of the file.

    `providers` are the names that `llm_provider` may choose from; `describe` tells what is known of their models.
    """
    data = parse(source)
    found = [*islice(rules(data, providers, describe), MOST)]
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
