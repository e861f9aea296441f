"""The seam to the durable store of messages on their way.

What is acknowledged is durable. Times are in seconds since the epoch, UTC. What cannot be stored is a CaxtonError
`storage_failed`, and then none of it is.
"""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from caxton.domain.delivery import Change, Claimed, DeadLetter
from caxton.domain.message import Message, StoredMessage


class DeliveryStore(Protocol):
    """The queue of every receiver, in the order in which messages were accepted."""

    async def append(self, messages: Sequence[Message]) -> list[Message]:
        """Store messages as accepted, each by itself; in their order, and in one wait for the disk.

        Returned is for each what is stored: the message; or, where its sender has sent its receiver another one with
        the same `idempotency_key`, or where there is one with its id, that other one, and this one is not stored.
        What is stored now is returned as the very same object.
        """
        ...

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make all these changes in their order, or none of them.

        Repeating the end of a message changes nothing: one that is not accepted any more is left as it is, and the
        reply that came with it is not stored.
        """
        ...

    async def begin(self, message_id: str) -> int:
        """Count an attempt begun; how many there were, this one included; `message_not_found` where it is not there."""
        ...

    async def claim(self, receiver: str, *, after: int, limit: int) -> list[Claimed]:
        """The next accepted messages for `receiver` beyond the sequence number `after`, in order, `limit` at most."""
        ...

    async def waiting(self, receiver: str) -> int:
        """How many accepted messages there are for `receiver`. Costs what there are of them."""
        ...

    async def receivers(self) -> dict[str, int]:
        """Whoever has accepted messages waiting, and how many."""
        ...

    def last(self) -> int:
        """The sequence number of the newest message, 0 where there is none."""
        ...

    def find(self, message_id: str) -> StoredMessage | None: ...

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        """The stored message of that sender to that receiver with this idempotency key.

        Where the sender has addressed a capability, that is the receiver here, whoever got it.
        """
        ...

    def reply_to(self, message_id: str) -> Message | None:
        """The stored reply to a message, None while there is none: the first one beyond an agree, which is none itself
        where another one follows. A cancel of a message is no reply to it.
        """
        ...

    def recall(self, agent: str, key: str) -> Any:
        """A value of an agent's state as `Remember` left it, None where there is none."""
        ...


class DeadLetterStore(Protocol):
    """Dead letters, and the way back."""

    async def dead_letters(
        self,
        *,
        receiver: str | None = None,
        code: str | None = None,
        limit: int,
        before: str | None = None,
        oldest: bool = False,
    ) -> list[DeadLetter]:
        """The newest first, of one receiver or of one error code; `before` is the id of the last one already seen.

        With `oldest` it is the other way round.
        """
        ...

    def dead_letter(self, message_id: str) -> DeadLetter | None: ...

    async def revive(self, message_ids: Sequence[str], *, receiver: str | None = None) -> list[Message]:
        """Make dead letters accepted messages again, all or none, in the order of their first acceptance.

        Attempts and failures begin anew, there is no deadline any more, and what its sender was told of the failure is
        no reply to it any more. They come after whatever waits. With `receiver` they are for that one now. Those that
        are no dead letters are left out.
        """
        ...

    async def purge(self, *, before: float | None = None, message_ids: Sequence[str] | None = None) -> int:
        """Delete dead letters: those named, those that died before a time, or all; how many."""
        ...

    async def death_counts(self) -> dict[tuple[str, str], int]:
        """How many there are, by receiver and error code."""
        ...


class Keeper(Protocol):
    """What keeps a store from growing without end."""

    async def expire(
        self, now: float, *, unclaimed_before: float | None, running: Collection[str], limit: int
    ) -> list[Message]:
        """Bury what can no longer be delivered, and return it, `limit` messages at most.

        Those are accepted messages whose `reply_by` has passed, and those made before a time; but none for a receiver
        that is `running`, which deals with them itself.
        """
        ...

    async def forget_keys(self, before: float) -> int:
        """Let go of the idempotency keys of messages made before a time; how many."""
        ...

    async def archivable(
        self, before: float, *, limit: int, after: str | None = None, dead: bool = False
    ) -> list[StoredMessage]:
        """Messages made before a time that are settled or failed; or dead letters that died before it. Oldest first.

        `after` is the id of the last one already seen.
        """
        ...

    async def drop(self, message_ids: Sequence[str]) -> int:
        """Delete messages that are not waiting for delivery, with what is counted of them; how many."""
        ...


class MessageArchive(Protocol):
    """What was put into files before it was deleted. Blocks; OSError where a file cannot be read or written."""

    def forget(self, person: str, conversations: Collection[str]) -> int:
        """Take out conversations, those in which this sender has asked something, and what that has led to; how many.

        Looks at every file.
        """
        ...
