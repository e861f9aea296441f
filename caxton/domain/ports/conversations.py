"""The seam to the durable store of groups: who takes part in conversations, and what is kept with those."""

from collections.abc import Collection
from typing import Protocol

from caxton.domain.conversation import Departed, Group, Participant


class GroupStore(Protocol):
    """Groups and their participants. What was said in them is the message store's. Acknowledged means durable.

    Whoever names a group that is not there changes nothing. Times are in seconds since the epoch, UTC.
    """

    async def create(self, group: Group) -> bool:
        """Keep a new group with its participants; False, and nothing changed, where there is one of that id."""
        ...

    def find(self, id: str) -> Group | None:
        """The group with those who take part in it now. Costs what there are of them."""
        ...

    async def join(self, id: str, participant: Participant) -> bool:
        """Have somebody take part; False where it does already."""
        ...

    async def leave(self, id: str, name: str, at: float) -> bool:
        """Have somebody take part no longer; False where it does not."""
        ...

    async def close(self, id: str, at: float) -> None:
        """Close a group, at that time where it is open."""
        ...

    async def reopen(self, id: str, at: float) -> None:
        """Open a closed group again; it has been idle from that time on."""
        ...

    async def participations(self, id: str) -> list[Participant]:
        """Everybody who takes part or did, once for each time, in the order of joining."""
        ...

    async def of(self, name: str, *, limit: int, before: str | None = None) -> list[Group]:
        """Groups that somebody takes part in, the newest first; `before` is the id of the last one already seen."""
        ...

    async def silent(self, *, limit: int) -> list[Group]:
        """Open groups in which nothing has been said, or nothing is left of it; the newest first."""
        ...

    async def close_idle(self, now: float, *, idle: float | None) -> list[str]:
        """Close those that nobody spoke in or joined for as long as they say, or else for `idle` seconds; which.

        None is for ever.
        """
        ...

    async def forget_departed(self, id: str) -> None:
        """Forget who took part and does no longer."""
        ...

    async def erase(self, id: str) -> bool:
        """Forget a group with all that is kept of it here; whether there was one."""
        ...

    async def forget(self, person: str, conversations: Collection[str]) -> Departed:
        """Forget these groups, and in all others that this person took part in them. An agent of that name stays."""
        ...
