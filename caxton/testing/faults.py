"""What may go wrong beneath a bus, made to happen: for tests of whatever has to survive it.

Faults come from schedules, one for the calls of the store and one for the messages that are put into mailboxes: from a
seed, from lists that hypothesis drew, or one by one. What a fault does is no more than a disk, a network or a killed
process may do: a store that says it failed has stored nothing, and one whose process died answers nobody any more.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, Generic, TypeVar

from caxton.domain.delivery import Change, Claimed
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, StoredMessage
from caxton.domain.ports.bus import Mailbox
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore

T = TypeVar("T")
F = TypeVar("F", bound=StrEnum)


class StoreFault(StrEnum):
    """What becomes of one call of the store.

    full          it fails, and nothing is stored: the disk is full
    locked        it fails, and nothing is stored: another process has the database
    delay         it takes `Faults.delay` seconds longer
    crash-before  the process dies before it is stored
    crash-after   the process dies after it is stored, and before anybody hears of that
    """

    FULL = "full"
    LOCKED = "locked"
    DELAY = "delay"
    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"


class MailFault(StrEnum):
    """What becomes of one message on its way into a mailbox.

    drop       it is lost, with all that follows it in its conversation, until the mailbox is opened anew
    delay      it comes `Faults.delay` seconds later, and before all that follows it in its conversation
    duplicate  it comes twice
    reorder    it comes after the next message of another conversation
    """

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"


class Schedule(Generic[F]):
    """What happens to one call after the other; None is nothing, and so is all beyond its end."""

    def __init__(self, faults: Iterable[F | None] = ()) -> None:
        self._faults: Iterator[F | None] = iter(faults)
        self.happened: list[F] = []

    def next(self) -> F | None:
        fault = next(self._faults, None)
        if fault is not None:
            self.happened.append(fault)
        return fault

    def arm(self, fault: F) -> None:
        """Let this be the next one."""
        self._faults = chain((fault,), self._faults)

    def end(self) -> None:
        """Let nothing happen any more."""
        self._faults = iter(())


class Faults:
    """The faults to come, and whether the process that they happen in is dead by now."""

    def __init__(
        self,
        clock: Clock,
        *,
        store: Iterable[StoreFault | None] = (),
        mail: Iterable[MailFault | None] = (),
        delay: float = 1.0,
    ) -> None:
        self.clock = clock
        self.delay = delay
        self.store = Schedule(store)
        self.mail = Schedule(mail)
        self.dead = asyncio.Event()
        """Set by a crash. Whoever plays a part of the process has to stop then."""

    @classmethod
    def from_seed(cls, clock: Clock, seed: int, *, share: float = 0.1) -> "Faults":
        """Faults without end, all equally likely; `share` of the calls meet one. The same seed makes the same ones."""
        return cls(
            clock, store=_at_random(seed, share, tuple(StoreFault)), mail=_at_random(-seed, share, tuple(MailFault))
        )

    def end(self) -> None:
        """Let nothing happen any more."""
        self.store.end()
        self.mail.end()

    def crash(self) -> None:
        """Let the process die: no call of the store returns any more."""
        self.dead.set()

    async def never(self) -> Any:
        """What a dead process does."""
        await asyncio.get_running_loop().create_future()


def _at_random(seed: int, share: float, choices: Sequence[F]) -> Iterator[F | None]:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    while True:
        yield chance.choice(choices) if chance.random() < share else None


class FaultyStore:
    """Implements `ports.delivery.DeliveryStore` over another one, with faults. What is read at once does not fail."""

    def __init__(self, store: DeliveryStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._under_way: set[asyncio.Future[Any]] = set()

    async def landed(self) -> None:
        """Wait until what was on its way to the disk is there: with a process its threads die, and here they do not."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def append(self, messages: Sequence[Message]) -> list[Message]:
        return await self._around(lambda: self._store.append(messages))

    async def commit(self, changes: Sequence[Change]) -> None:
        await self._around(lambda: self._store.commit(changes))

    async def begin(self, message_id: str) -> int:
        return await self._around(lambda: self._store.begin(message_id))

    async def claim(self, receiver: str, *, after: int, limit: int) -> list[Claimed]:
        return await self._around(lambda: self._store.claim(receiver, after=after, limit=limit))

    async def waiting(self, receiver: str) -> int:
        return await self._store.waiting(receiver)

    async def receivers(self) -> dict[str, int]:
        return await self._store.receivers()

    def last(self) -> int:
        return self._store.last()

    def find(self, message_id: str) -> StoredMessage | None:
        return self._store.find(message_id)

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        return self._store.keyed(receiver=receiver, sender=sender, key=key)

    def reply_to(self, message_id: str) -> Message | None:
        return self._store.reply_to(message_id)

    def recall(self, agent: str, key: str) -> Any:
        return self._store.recall(agent, key)

    async def _around(self, work: Callable[[], Awaitable[T]]) -> T:
        faults = self._faults
        if faults.dead.is_set():
            await faults.never()
        fault = faults.store.next()
        match fault:
            case StoreFault.FULL | StoreFault.LOCKED:
                why = "database or disk is full" if fault is StoreFault.FULL else "database is locked"
                raise CaxtonError(Code.STORAGE_FAILED, "The database could not be written.", why=why)
            case StoreFault.DELAY:
                await faults.clock.sleep(faults.delay)
            case StoreFault.CRASH_BEFORE:
                faults.crash()
                await faults.never()
        if faults.dead.is_set():  # while it waited
            await faults.never()
        working = asyncio.ensure_future(work())
        self._under_way.add(working)
        working.add_done_callback(self._under_way.discard)
        result = await asyncio.shield(working)
        if fault is StoreFault.CRASH_AFTER:
            faults.crash()
        if faults.dead.is_set():
            await faults.never()
        return result


class FaultyMailbox:
    """Implements `ports.bus.Mailbox` over another one, with faults. It keeps the order within a conversation."""

    def __init__(self, mailbox: Mailbox, faults: Faults) -> None:
        self._mailbox = mailbox
        self._faults = faults
        self._lost: set[str] = set()
        self._held: defaultdict[str, deque[Callable[[], None]]] = defaultdict(deque)
        """By conversation what is still to be put, in its order."""
        self._swapped: set[str] = set()
        """Conversations that are held until another one has a message."""
        self._timers: set[asyncio.Task[None]] = set()

    @property
    def depth(self) -> int:
        return self._mailbox.depth + sum(map(len, self._held.values()))

    @property
    def limit(self) -> int:
        return self._mailbox.limit

    def holds(self, message_id: str) -> bool:
        return self._mailbox.holds(message_id)

    def admit(self, message: Message) -> None:
        self._mailbox.admit(message)

    async def vacancy(self) -> None:
        await self._mailbox.vacancy()

    def put(self, message: Message, *, again: bool = False, not_before: float | None = None) -> None:
        def put() -> None:
            self._mailbox.put(message, again=again, not_before=not_before)

        conversation = message.conversation_id
        if self._faults.dead.is_set() or conversation in self._lost:
            return
        if conversation in self._held:
            self._held[conversation].append(put)
            return
        others = [*self._swapped]
        match self._faults.mail.next():
            case MailFault.DROP:
                self._lost.add(conversation)
            case MailFault.DELAY:
                self._held[conversation].append(put)
                timer = asyncio.create_task(self._later(conversation), name="a message that is late")
                self._timers.add(timer)
                timer.add_done_callback(self._timers.discard)
            case MailFault.REORDER:
                self._held[conversation].append(put)
                self._swapped.add(conversation)
            case MailFault.DUPLICATE:
                put()
                put()
            case None:
                put()
        for one in others:
            self._release(one)

    async def _later(self, conversation: str) -> None:
        await self._faults.clock.sleep(self._faults.delay)
        self._release(conversation)

    def _release(self, conversation: str) -> None:
        self._swapped.discard(conversation)
        for put in self._held.pop(conversation, ()):
            put()
