"""The operations on dead letters."""

from collections.abc import Collection, Sequence

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeadLetterStore
from caxton.domain.suggestion import did_you_mean
from caxton.service.api.dead_letters import (
    DeadLetterEntry,
    DeadLetterList,
    DeadLetterStats,
    DeadLetterView,
    DeathCount,
    Purged,
    RedirectLetter,
    Replayed,
    ReplayLetters,
)

PAGE = 500


class DeadLetterService:
    """One method an operation of `service.api.dead_letters`.

    `receivers` are the addresses that the bus knows: the live view of them, as `Directory.addresses` has it.
    """

    def __init__(self, *, store: DeadLetterStore, bus: Bus, receivers: Collection[str], clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._receivers = receivers
        self._clock = clock

    async def list(
        self, *, receiver: str | None = None, code: str | None = None, limit: int = 50, before: str | None = None
    ) -> DeadLetterList:
        letters = await self._store.dead_letters(receiver=receiver, code=code, limit=limit, before=before)
        return DeadLetterList(
            letters=[DeadLetterEntry.of(letter) for letter in letters],
            next=letters[-1].message.id if len(letters) == limit else None,
        )

    async def stats(self) -> DeadLetterStats:
        counts = await self._store.death_counts()
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return DeadLetterStats(
            total=sum(counts.values()),
            counts=[DeathCount(receiver=receiver, code=code, count=count) for (receiver, code), count in ordered],
        )

    async def show(self, *, id: str) -> DeadLetterView:
        if letter := self._store.dead_letter(id):
            return DeadLetterView.of(letter)
        raise _not_found(id)

    async def replay(self, *, id: str) -> Replayed:
        letter = self._store.dead_letter(id)
        if letter is None:
            raise _not_found(id)
        self._check(letter.message.receiver)
        return await self._one(id, None)

    async def redirect(self, *, id: str, body: RedirectLetter) -> Replayed:
        self._check(body.receiver)
        return await self._one(id, body.receiver)

    async def replay_all(self, *, body: ReplayLetters) -> Replayed:
        """One page of them. What is for nobody whom the bus knows stays dead, unless it is redirected."""
        before = self._clock.now() if body.before is None else body.before
        if body.to is not None:
            self._check(body.to)
        replayed = left = unknown = 0
        for receiver, count in (await self._counts(body)).items():
            if body.to is None and receiver not in self._receivers:
                unknown += count
                continue
            done = 0
            if room := body.limit - replayed:
                letters = await self._store.dead_letters(receiver=receiver, code=body.code, limit=room, oldest=True)
                ids = [letter.message.id for letter in letters if letter.died_at <= before]
                done = len(await self._revive(ids, body.to))
            replayed += done
            left += count - done
        return Replayed(replayed=replayed, left=left, unknown=unknown, before=before)

    async def purge(
        self,
        *,
        id: str | None = None,
        receiver: str | None = None,
        code: str | None = None,
        older_than: float | None = None,
        all: bool = False,
    ) -> Purged:
        if not all and (id, receiver, code, older_than) == (None, None, None, None):
            raise CaxtonError(
                Code.PARAMETER_INVALID,
                "Nothing says which dead letters are to be deleted.",
                hint="Give an `id` or a condition, or say `all=true` to delete every one of them.",
            )
        before = None if older_than is None else self._clock.now() - older_than
        if id is not None:
            letter = self._store.dead_letter(id)
            if (
                letter is None
                or receiver not in (None, letter.message.receiver)
                or code not in (None, letter.error.code)
            ):
                return Purged(purged=0)
            return Purged(purged=await self._store.purge(before=before, message_ids=[id]))
        if receiver is None and code is None:
            return Purged(purged=await self._store.purge(before=before))
        purged = 0
        while letters := await self._store.dead_letters(receiver=receiver, code=code, limit=PAGE, oldest=True):
            gone = await self._store.purge(before=before, message_ids=[letter.message.id for letter in letters])
            if not gone:
                break  # those that follow have died later still
            purged += gone
        return Purged(purged=purged)

    async def _counts(self, wanted: ReplayLetters) -> dict[str, int]:
        """How many there are of those wanted, by receiver."""
        counts: dict[str, int] = {}
        for (receiver, code), count in (await self._store.death_counts()).items():
            if wanted.receiver in (None, receiver) and wanted.code in (None, code):
                counts[receiver] = counts.get(receiver, 0) + count
        return counts

    async def _one(self, id: str, receiver: str | None) -> Replayed:
        if not await self._revive([id], receiver):
            raise _not_found(id)
        return Replayed(replayed=1, left=0, unknown=0, before=self._clock.now())

    async def _revive(self, ids: Sequence[str], receiver: str | None) -> Sequence[Message]:
        """Have them wait again, and whoever they are for be told; one who has gone since finds them when it is back."""
        revived = await self._store.revive(ids, receiver=receiver)
        for one in {message.receiver for message in revived}:
            if one in self._receivers:
                await self._bus.redeliver(one)
        return revived

    def _check(self, receiver: str) -> None:
        if receiver not in self._receivers:
            raise CaxtonError(
                Code.AGENT_NOT_FOUND,
                f"There is no agent {receiver!r}.",
                hint=did_you_mean(receiver, self._receivers) or "See `caxton agent list`.",
            )


def _not_found(id: str) -> CaxtonError:
    return CaxtonError(
        Code.MESSAGE_NOT_FOUND, f"There is no dead letter {id!r}.", hint="`caxton dlq list` has those that there are."
    )
