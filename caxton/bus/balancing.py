"""Which of several agents that can do the same gets a message.

Where there are few of them all are compared. Among many, the best of a few chosen at random is taken: the better of
two keeps the longest queue at O(log log n), where one alone lets it grow to O(log n / log log n), and it costs the same
for ten as for ten thousand (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12(10),
2001).
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from caxton.domain.bus_settings import Balance
from caxton.domain.message import Message
from caxton.domain.ports.bus import Mailbox

FEW = 8
"""Agents that are all compared."""
TRIES = 8
"""How often some are chosen at random before all are gone through, where none of them takes the message."""
MOST = 250
"""Agents that are asked for one message at most, when they are gone through."""
SPEEDS = 4
"""How many of many are compared by speed, which differs more from agent to agent than their load does."""
EXPLORED = 0.02
"""The share of messages that goes to any of them instead of the fastest: one that has become faster shows it so."""
SMOOTHING = 0.2
"""Weight of the latest measurement in the moving average."""
FAILED = 60.0
"""Seconds that an attempt counts as at least when it fails: or one that fails at once would seem the fastest."""
REMEMBERED, SPEAKERS = 20_000, 8
"""Conversations, and agents in each, that are remembered."""


class Member:
    """An agent that may be chosen. `seconds` is a moving average of how long its handling took; None if it is unknown.

    Identity is by object: an agent that is registered anew keeps its own.
    """

    __slots__ = ("address", "mailbox", "seconds")

    def __init__(self, address: str, mailbox: Mailbox) -> None:
        self.address = address
        self.mailbox = mailbox
        self.seconds: float | None = None

    def measured(self, seconds: float) -> None:
        before = self.seconds
        self.seconds = seconds if before is None else before + SMOOTHING * (seconds - before)

    def failed(self) -> None:
        self.seconds = max(FAILED, self.seconds or 0.0)


class Pool:
    """Those that can do one thing. Adding, removing, finding, choosing at random and taking in turn are all O(1)."""

    def __init__(self) -> None:
        self._members: list[Member] = []
        self._places: dict[str, int] = {}
        self._next = 0
        """Those before it had their turn in this round, those from it on have not."""

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def get(self, address: str) -> Member | None:
        place = self._places.get(address)
        return None if place is None else self._members[place]

    def add(self, member: Member) -> None:
        """Add one that is not there yet; its turn comes in this round."""
        self._places[member.address] = len(self._members)
        self._members.append(member)

    def remove(self, address: str) -> None:
        """Fill the gap with the last one; through the last that had its turn, so that nobody's turn is left out."""
        gap = self._places.pop(address)
        if gap < self._next:
            self._next -= 1
            gap = self._move(self._next, gap)
        self._move(len(self._members) - 1, gap)
        self._members.pop()

    def in_turn(self) -> Iterator[Member]:
        """Everyone once, whoever's turn it is first. Whoever was looked at has had their turn."""
        for _ in range(len(self._members)):
            if self._next >= len(self._members):
                self._next = 0
            self._next += 1
            yield self._members[self._next - 1]

    def some(self, rng: random.Random, count: int) -> list[Member]:
        """That many, chosen at random, maybe one of them twice; all, from a random place on, where they are few."""
        members = self._members
        size = len(members)
        if size <= FEW:
            start = int(rng.random() * size)
            return members[start:] + members[:start]
        return [members[int(rng.random() * size)] for _ in range(count)]

    def _move(self, source: int, target: int) -> int:
        """Overwrite one place by another; where the gap is then."""
        member = self._members[target] = self._members[source]
        if source != target:
            self._places[member.address] = target
        return source


Fits = Callable[[Member], bool]
"""Whether a message may go to a member, which takes it now."""


class Balancer(Protocol):
    def choose(self, pool: Pool, message: Message, fits: Fits) -> Member | None:
        """The member that gets a message; None where no member takes it."""
        ...


class RoundRobin:
    """Each in turn."""

    def choose(self, pool: Pool, message: Message, fits: Fits) -> Member | None:
        return _first(pool, fits)


class LeastLoaded:
    """The one with the fewest messages in hand."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def choose(self, pool: Pool, message: Message, fits: Fits) -> Member | None:
        return _best(pool, self._rng, 2, _load, fits)


class Fastest:
    """The one that is likely to be done first, by how long its handling took lately and by what it has in hand."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def choose(self, pool: Pool, message: Message, fits: Fits) -> Member | None:
        if self._rng.random() < EXPLORED:
            return _first(pool, fits)
        return _best(pool, self._rng, SPEEDS, _delay, fits)


class Context:
    """The one that spoke last in the message's conversation; where none has, whom another strategy chooses."""

    def __init__(self, otherwise: Balancer) -> None:
        self._otherwise = otherwise
        self._speakers: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        """By conversation, the one that spoke last first; the conversation that was silent longest first."""

    def choose(self, pool: Pool, message: Message, fits: Fits) -> Member | None:
        for address in self._speakers.get(message.conversation_id, ()):
            if (member := pool.get(address)) and fits(member):
                return member
        return self._otherwise.choose(pool, message, fits)

    def spoke(self, conversation_id: str, address: str) -> None:
        speakers = self._speakers.get(conversation_id, ())
        if speakers:
            self._speakers.move_to_end(conversation_id)
            if speakers[0] == address:
                return
        others = tuple(other for other in speakers if other != address)
        self._speakers[conversation_id] = (address, *others[: SPEAKERS - 1])
        if len(self._speakers) > REMEMBERED:
            self._speakers.popitem(last=False)


def balancer(balance: Balance, rng: random.Random) -> Balancer:
    match balance:
        case Balance.CONTEXT:
            return Context(LeastLoaded(rng))
        case Balance.LEAST_LOADED:
            return LeastLoaded(rng)
        case Balance.FASTEST:
            return Fastest(rng)
        case Balance.ROUND_ROBIN:
            return RoundRobin()


def _load(member: Member) -> float:
    return member.mailbox.depth


def _delay(member: Member) -> tuple[float, int]:
    """When it is likely to be done: an idle one of unknown speed is tried first, a busy one last."""
    depth = member.mailbox.depth
    if member.seconds is None:
        return (math.inf if depth else 0.0), depth
    return member.seconds * (depth + 1), depth


def _best(
    pool: Pool, rng: random.Random, count: int, by: Callable[[Member], float | tuple[float, int]], fits: Fits
) -> Member | None:
    """The one with the least `by` that fits, among all where they are few, else among `count` of them."""
    for _ in range(TRIES):
        some = pool.some(rng, count)
        some.sort(key=by)
        for member in some:
            if fits(member):
                return member
        if len(pool) <= FEW:
            return None
    return _first(pool, fits)


def _first(pool: Pool, fits: Fits) -> Member | None:
    return _first_of(zip(range(MOST), pool.in_turn(), strict=False), fits)


def _first_of(members: Iterable[tuple[int, Member]], fits: Fits) -> Member | None:
    return next((member for _, member in members if fits(member)), None)
