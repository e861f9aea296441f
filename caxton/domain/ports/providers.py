"""The seam to the set of configured providers."""

from collections.abc import Iterable
from typing import Protocol

from caxton.domain.health import ComponentHealth
from caxton.domain.ports.provider import Provider


class Providers(Protocol):
    default: str
    """The provider of an agent that names none."""

    def names(self) -> Iterable[str]: ...

    def get(self, name: str) -> Provider:
        """The provider of that name, made when first asked for; CaxtonError `provider_unknown`."""
        ...

    def warm(self, name: str) -> None:
        """Let a provider begin what it must do before its first answer; nothing where there is nothing to do."""
        ...

    def health(self) -> list[ComponentHealth]:
        """One entry a provider in use."""
        ...
