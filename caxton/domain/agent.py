"""What an agent is, once its file has been read and found right."""

from enum import StrEnum
from typing import Any

import msgspec

from caxton.domain.bids import BiddingPolicy
from caxton.domain.capability import Capability, CapabilityDetails, read_capability
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ErrorReport
from caxton.domain.limits import ModelLimits


class ContextStrategy(StrEnum):
    SLIDING = "sliding"
    SUMMARIZE = "summarize"
    PERSIST = "persist"


class MemoryScope(StrEnum):
    AGENT = "agent"
    WORKSPACE = "workspace"
    GLOBAL = "global"
    SESSION = "session"


class LlmOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask the provider for; None leaves it to the provider's default.

    `max_tokens` bounds one answer; `response_schema` is the JSON schema that it has to fit.
    """

    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_schema: dict[str, Any] | None = None


class ConversationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a conversation the model is given.

    `max_turns` counts exchanges (a request and its reply); `context_window` is in tokens, None for as much as the
    model holds.
    """

    max_turns: int = 50
    context_window: int | None = None
    strategy: ContextStrategy = ContextStrategy.SLIDING


class MemoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent keeps beyond a conversation, and how.

    `workspace` names the space that agents of scope `workspace` share. Before a turn up to `recall_limit` memories of
    `recall_tokens` tokens together are put into the prompt; `auto_store` keeps what the agent is told. `max_entries`,
    `max_bytes` and `retention` (seconds) bound the space; None is no bound.
    """

    enabled: bool = False
    scope: MemoryScope = MemoryScope.AGENT
    workspace: str = "default"
    auto_recall: bool = True
    auto_store: bool = True
    recall_limit: int = 5
    recall_tokens: int = 400
    max_entries: int | None = 10_000
    max_bytes: int | None = None
    retention: float | None = None


class ResourceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one agent: seconds a turn, bytes of memory, tool calls and turns at once.

    `tool_rounds` is how often in one turn the model may call tools before it has to answer.
    """

    max_execution_time: float = 60.0
    memory: int | None = None
    concurrent_tools: int = 4
    tool_rounds: int = 8
    concurrent_turns: int = 4


class AgentDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, complete and valid.

    `capability_details` has something for some of its `capabilities`; `requires` are those that it needs of others.
    `llm_providers` are asked in turn until one answers; none means the server's default. `[llm] model` speaks of the
    first of them.
    """

    name: str
    system_prompt: str
    version: str = "0.1.0"
    description: str = ""
    capabilities: tuple[str, ...] = ()
    capability_details: dict[str, CapabilityDetails] = {}
    requires: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    llm_providers: tuple[str, ...] = ()
    llm: LlmOptions = LlmOptions()
    user_prompt_template: str | None = None
    parameters: dict[str, str] = {}
    conversation: ConversationOptions = ConversationOptions()
    memory: MemoryOptions = MemoryOptions()
    resources: ResourceLimits = ResourceLimits()
    limits: ModelLimits = ModelLimits()
    contract_net: BiddingPolicy = BiddingPolicy()
    tags: tuple[str, ...] = ()
    author: str = ""
    license: str = ""
    documentation: str = ""

    @property
    def offers(self) -> tuple[Capability, ...]:
        """What it does for others."""
        nothing = CapabilityDetails()
        told = [(name, self.capability_details.get(name, nothing)) for name in self.capabilities]
        return tuple(
            Capability(name=read_capability(name), description=one.description, input=one.input, output=one.output)
            for name, one in told
        )

    def providers(self, default: str) -> tuple[str, ...]:
        """The providers to ask, in order; `default` is the server's."""
        return self.llm_providers or (default,)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The text that a definition was read from, and the file's path."""

    path: str
    text: str


class LoadedDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A definition with its source and the warnings found in it."""

    definition: AgentDefinition
    source: Source
    warnings: tuple[Diagnostic, ...] = ()


class ReloadOutcome(StrEnum):
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


class ReloadResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the last reading of an agent's file went. `at` is in seconds since the epoch, UTC."""

    at: float
    outcome: ReloadOutcome
    diagnostics: tuple[Diagnostic, ...] = ()


class DesiredState(StrEnum):
    """What the operator wants of an agent, whatever it is doing just now."""

    RUNNING = "running"
    STOPPED = "stopped"


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the server keeps of an agent over restarts.

    The id belongs to the name for good: a file that is edited, or deleted and restored, keeps it. `source` is the
    last definition that was accepted, so that a file broken while the server was down does not take the agent away.
    """

    id: str
    name: str
    desired: DesiredState
    source: Source
    created_at: float


class AgentActivity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent has been doing since the server started. Times are seconds since the epoch, UTC."""

    turns: int = 0
    failures: int = 0
    restarts: int = 0
    active_turns: int = 0
    waiting: int = 0
    last_activity: float | None = None
    last_error: ErrorReport | None = None
    last_error_at: float | None = None
