"""Dead letters and what keeps a store small, in memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from caxton.domain.delivery import DeadLetter, Failure
from caxton.domain.errors import ErrorReport
from caxton.domain.message import Message, MessageState, Performative, StoredMessage
from caxton.domain.overdue import OVERDUE, UNCLAIMED
from caxton.testing.deliveries import Held, MemoryDelivery


class MemoryDeadLetters(MemoryDelivery):
    """Implements `ports.delivery.DeadLetterStore` and `Keeper`."""

    async def dead_letters(
        self,
        *,
        receiver: str | None = None,
        code: str | None = None,
        limit: int,
        before: str | None = None,
        oldest: bool = False,
    ) -> list[DeadLetter]:
        dead = self._dead()[::-1] if oldest else self._dead()
        if before is not None:
            ids = [held.message.id for held in dead]
            dead = dead[ids.index(before) + 1 :] if before in ids else []
        letters = [_letter(held) for held in dead if receiver in (None, held.message.receiver)]
        return [letter for letter in letters if code in (None, letter.error.code)][:limit]

    def dead_letter(self, message_id: str) -> DeadLetter | None:
        held = self._held.get(message_id)
        return _letter(held) if held and held.state is MessageState.DEAD else None

    async def revive(self, message_ids: Sequence[str], *, receiver: str | None = None) -> list[Message]:
        dead = [held for held in self._held.values() if held.state is MessageState.DEAD]
        return [self._revive(held, receiver) for held in dead if held.message.id in set(message_ids)]

    async def purge(self, *, before: float | None = None, message_ids: Sequence[str] | None = None) -> int:
        return self._delete_all(
            held
            for held in self._dead()
            if (before is None or (held.died_at or 0.0) < before)
            and (message_ids is None or held.message.id in message_ids)
        )

    async def death_counts(self) -> dict[tuple[str, str], int]:
        return dict(Counter((held.message.receiver, _letter(held).error.code.value) for held in self._dead()))

    async def expire(
        self, now: float, *, unclaimed_before: float | None, running: Collection[str], limit: int
    ) -> list[Message]:
        waiting = [held for held in self._held.values() if held.state is MessageState.ACCEPTED]
        waiting = [held for held in waiting if held.message.receiver not in running]
        overdue = [held for held in waiting if held.message.reply_by is not None and held.message.reply_by <= now]
        overdue.sort(key=lambda held: (held.message.reply_by, held.seq))
        expired = [self._expire(held, OVERDUE, now) for held in overdue[:limit]]
        if unclaimed_before is not None:
            waiting = [held for held in waiting if held.state is MessageState.ACCEPTED]
            unclaimed = [held for held in waiting if held.message.created_at < unclaimed_before]
            expired += [self._expire(held, UNCLAIMED, now) for held in unclaimed[: limit - len(expired)]]
        return expired

    async def forget_keys(self, before: float) -> int:
        old = [held for held in self._held.values() if held.key and held.message.created_at < before]
        for held in old:
            self._release_key(held)
        return len(old)

    async def archivable(
        self, before: float, *, limit: int, after: str | None = None, dead: bool = False
    ) -> list[StoredMessage]:
        done = [held for held in self._held.values() if held.state in (MessageState.SETTLED, MessageState.FAILED)]
        old = [held for held in done if held.message.created_at < before]
        old = sorted(old, key=lambda held: (held.message.created_at, held.seq))
        if dead:
            old = [held for held in reversed(self._dead()) if (held.died_at or 0.0) < before]
        ids = [held.message.id for held in old]
        if after is not None:
            old = old[ids.index(after) + 1 :] if after in ids else []
        return [held.stored for held in old][:limit]

    async def drop(self, message_ids: Sequence[str]) -> int:
        named = [held for message_id in set(message_ids) if (held := self._held.get(message_id))]
        return self._delete_all(held for held in named if held.state is not MessageState.ACCEPTED)

    def _dead(self) -> list[Held]:
        """The newest first."""
        dead = [held for held in self._held.values() if held.state is MessageState.DEAD]
        return sorted(dead, key=lambda held: (held.died_at, held.seq), reverse=True)

    def _revive(self, held: Held, receiver: str | None) -> Message:
        message = msgspec.structs.replace(held.message, reply_by=None)
        if receiver is not None and receiver != message.receiver:
            addressed = message.addressed or message.receiver
            held.agent = receiver if held.agent == message.receiver else held.agent
            message = msgspec.structs.replace(message, receiver=receiver, addressed=addressed)
        for reply in [*self._replies[message.id]]:
            if self._held[reply].message.performative is Performative.FAILURE:
                self._unreply(self._held[reply])
        held.message, held.state = message, MessageState.ACCEPTED
        held.attempts, held.not_before, held.failures, held.died_at = 0, None, (), None
        held.seq = self._number()
        self._held[message.id] = self._held.pop(message.id)
        self._waiting[message.receiver][message.id] = None
        return message

    def _expire(self, held: Held, error: ErrorReport, now: float) -> Message:
        self._bury(held, Failure(attempt=held.attempts, at=now, error=error))
        return held.message

    def _delete_all(self, doomed: Iterable[Held]) -> int:
        gone = [*doomed]
        for held in gone:
            self._delete(held)
        return len(gone)


def _letter(held: Held) -> DeadLetter:
    return DeadLetter(message=held.message, failures=held.failures, died_at=held.died_at or 0.0)
