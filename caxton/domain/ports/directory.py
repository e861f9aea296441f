"""The seam to what agents offer each other."""

from collections.abc import Sequence
from typing import Protocol

from caxton.domain.capability import Provider


class Offers(Protocol):
    """What there is just now; `bus.directory.Directory` is one."""

    def offers(self) -> Sequence[Provider]:
        """Everything that anybody offers, whether or not it takes messages now."""
        ...

    def providers(self, capability: str) -> Sequence[str]:
        """The addresses of all that offer a capability, `charts` or `charts:v2`; none where nobody does."""
        ...
