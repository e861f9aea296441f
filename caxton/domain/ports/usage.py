"""The seams to accounting: what is kept of the use of models, and what they cost."""

from collections.abc import Collection, Sequence
from typing import Protocol

from caxton.domain.completion import Usage
from caxton.domain.usage import ModelUse, UsageBy, UsageSum


class UsageStore(Protocol):
    async def record(self, uses: Sequence[ModelUse]) -> None:
        """Keep them; durable on return."""
        ...

    async def anonymise(self, conversations: Collection[str], *, prefix: str) -> int:
        """Take the conversation's id out of uses in these, and in those whose id begins with `prefix`; of how many."""
        ...

    async def sums(self, by: UsageBy, *, since: float, until: float | None = None) -> list[UsageSum]:
        """The uses from `since` on and before `until` (seconds since the epoch, UTC), the largest sums first.

        Days are in their own order, the newest first.
        """
        ...


class Prices(Protocol):
    def cost(self, *, provider: str, model: str, usage: Usage, at: float) -> float | None:
        """What these tokens cost in US dollars; None where the price of the model is not known."""
        ...
