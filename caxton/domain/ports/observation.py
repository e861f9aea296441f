"""The seams to what watches the bus."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.observation import Filter, Observed
from caxton.domain.statistics import Statistics


class Metrics(Protocol):
    def statistics(self, waiting: Mapping[str, int], *, receiver: str | None = None) -> Statistics:
        """The figures of now; of one receiver alone where it is named. `waiting` is who has how many in the store."""
        ...


class Reader(Protocol):
    """One reader of the feed."""

    async def next(self) -> Observed | None:
        """What happened next; None once the feed has ended, and everything was read.

        One at a time waits for it. Cancelling the wait loses nothing.
        """
        ...

    def want(self, wanted: Filter) -> None:
        """Hear of something else from now on; an Opened says from where."""
        ...


class Feed(Protocol):
    """What happens on the bus and to agents, as it happens."""

    def read(self, wanted: Filter, *, after: str | None = None) -> AbstractContextManager[Reader]:
        """A reader, for the block. With `after`, the id of an event, first what came after that, as far as it is known.

        CaxtonError `too_many_readers`.
        """
        ...

    def forget(self, conversations: Collection[str]) -> None:
        """Let go of what is kept of these conversations for those who come back."""
        ...

    def agent(self, event: LifecycleEvent) -> None:
        """Tell of a change of an agent's state."""
        ...
