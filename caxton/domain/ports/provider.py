"""The seam to language models.

A provider is whatever has `complete`. What else it can do it says by having the method: the runtime asks with
`offers(provider, Streams)` and does without where it is missing.
"""

from collections.abc import AsyncGenerator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Delta, ModelInfo, PullProgress
from caxton.domain.health import ComponentHealth
from caxton.domain.settings import ProviderSettings


@runtime_checkable
class Provider(Protocol):
    """Answers completion requests. Safe to call concurrently; cancelling the call abandons the request."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """The whole answer, or ProviderError."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A provider that can answer piece by piece."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        """Deltas as they come, then exactly one Completion holding the whole; or ProviderError at any point.

        Closing the generator early abandons the request.
        """
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A provider that knows its model's own tokenizer."""

    async def count_tokens(self, messages: tuple[ChatMessage, ...], model: str | None) -> int:
        """Tokens that these messages take in the model's context, chat markup included."""
        ...


@runtime_checkable
class DescribesModels(Protocol):
    """A provider that knows what its models can hold."""

    def describe(self, model: str | None) -> ModelInfo: ...


@runtime_checkable
class ListsModels(Protocol):
    """A provider that can say which models it has."""

    async def models(self) -> list[ModelInfo]:
        """Those that can be asked for now, by name; ProviderError where the endpoint does not tell."""
        ...


@runtime_checkable
class Pulls(Protocol):
    """A provider that can fetch models."""

    def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Fetch a model, saying how far it is; ProviderError at any point. Closing the generator stops the fetching."""
        ...


@runtime_checkable
class ReportsHealth(Protocol):
    """A provider whose readiness is worth showing (it loads a model, say)."""

    def health(self) -> ComponentHealth: ...


@runtime_checkable
class Warms(Protocol):
    """A provider that has something slow to do before its first answer."""

    def warm(self) -> None:
        """Begin that in the background and return at once; harmless when repeated."""
        ...


@runtime_checkable
class Closes(Protocol):
    """A provider that holds something open (connections, a process)."""

    async def aclose(self) -> None:
        """Let go of it; requests under way fail with `provider_unavailable`."""
        ...


Ability = TypeVar("Ability")


def offers(provider: object, ability: type[Ability]) -> TypeGuard[Ability]:
    """Whether a provider has one of the abilities above: `isinstance`, remembered, for that is slow on protocols."""
    kind: Any = type(provider)
    port: Any = ability
    return _has(kind, port)


@cache
def _has(kind: Any, ability: Any) -> bool:
    return issubclass(kind, ability)


class ProviderKind(Protocol):
    """How a provider is made: the constructor that a kind's entry in the table of kinds names."""

    def __call__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> Provider:
        """A provider that has opened nothing yet. `environ` is where keys are read from; `data_dir` takes its logs."""
        ...
