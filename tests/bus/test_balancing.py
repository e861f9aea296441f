"""Whom the balancing chooses."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from caxton.bus.balancing import (
    FEW,
    REMEMBERED,
    SPEAKERS,
    Context,
    Fastest,
    LeastLoaded,
    Member,
    Pool,
    RoundRobin,
    balancer,
)
from caxton.domain.bus_settings import Balance
from caxton.domain.message import Message, Performative


class Box:
    """A mailbox that holds a number only."""

    limit = 100

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth


def members(*depths: int) -> list[Member]:
    return [Member(f"agent-{place}", Box(depth)) for place, depth in enumerate(depths)]


def pool_of(some: list[Member]) -> Pool:
    pool = Pool()
    for member in some:
        pool.add(member)
    return pool


def message(conversation: str = "talk") -> Message:
    return Message(
        id="m",
        performative=Performative.REQUEST,
        sender="asker",
        receiver="capability:charts",
        conversation_id=conversation,
        created_at=0.0,
        content={},
    )


def anybody(member: Member) -> bool:
    return True


def all_but(*addresses: str) -> Callable[[Member], bool]:
    return lambda member: member.address not in addresses


class Never(random.Random):
    """Chance that always falls on the last place, and never on what is rare."""

    def random(self) -> float:
        return 0.999


@given(depths=st.lists(st.integers(0, 20), min_size=1, max_size=FEW), seed=st.integers(0, 1000))
def test_of_few_the_least_loaded_one_is_always_found(depths: list[int], seed: int) -> None:
    chosen = LeastLoaded(random.Random(seed)).choose(pool_of(members(*depths)), message(), anybody)
    assert chosen is not None
    assert chosen.mailbox.depth == min(depths)


@given(size=st.integers(1, 40), full=st.sets(st.integers(0, 39)), balance=st.sampled_from(Balance), seed=st.integers())
def test_whoever_does_not_take_a_message_is_passed_over_and_nobody_who_does_is_missed(
    size: int, full: set[int], balance: Balance, seed: int
) -> None:
    pool = pool_of(members(*range(size)))
    taking = {f"agent-{place}" for place in range(size) if place not in full}
    chosen = balancer(balance, random.Random(seed)).choose(pool, message(), lambda member: member.address in taking)
    assert (chosen.address in taking) if chosen else not taking


def test_among_equals_the_load_is_spread() -> None:
    some = members(*[0] * 4)
    least, pool = LeastLoaded(random.Random(5)), pool_of(some)
    for _ in range(400):
        chosen = least.choose(pool, message(), anybody)
        assert chosen is not None
        chosen.mailbox.depth += 1
    assert [member.mailbox.depth for member in some] == [100] * 4


def test_among_many_the_longest_queue_stays_short() -> None:
    some = members(*[0] * 1000)
    least, pool = LeastLoaded(random.Random(5)), pool_of(some)
    for _ in range(1000):
        chosen = least.choose(pool, message(), anybody)
        assert chosen is not None
        chosen.mailbox.depth += 1
    # One choice at random would leave a queue of about ln n / ln ln n = 4 and more in any but a lucky run.
    assert max(member.mailbox.depth for member in some) <= 4
    assert sum(member.mailbox.depth == 0 for member in some) < 300


def test_each_in_turn() -> None:
    pool, turns = pool_of(members(0, 0, 0)), RoundRobin()
    chosen = [turns.choose(pool, message(), anybody) for _ in range(7)]
    assert [one.address for one in chosen if one] == [f"agent-{place % 3}" for place in range(7)]


def test_the_one_that_is_done_first_gets_it() -> None:
    slow, quick = some = members(0, 0)
    slow.measured(3.0)
    quick.measured(1.0)
    fastest, pool = Fastest(Never()), pool_of(some)
    assert fastest.choose(pool, message(), anybody) is quick
    quick.mailbox.depth = 3
    # Three that wait before it and its own: four seconds.
    assert fastest.choose(pool, message(), anybody) is slow


def test_an_idle_one_of_unknown_speed_is_tried_and_only_once_at_a_time() -> None:
    known, new = some = members(0, 0)
    known.measured(0.1)
    fastest, pool = Fastest(Never()), pool_of(some)
    assert fastest.choose(pool, message(), anybody) is new
    new.mailbox.depth = 1
    assert fastest.choose(pool, message(), anybody) is known


def test_speed_follows_what_was_measured_lately() -> None:
    (member,) = members(0)
    assert member.seconds is None
    member.measured(10.0)
    for _ in range(30):
        member.measured(1.0)
    assert member.seconds == pytest.approx(1.0, abs=0.02)


def test_a_slow_one_that_has_become_fast_is_found_again() -> None:
    once_slow, steady = some = members(0, 0)
    once_slow.measured(9.0)
    steady.measured(1.0)
    fastest, pool = Fastest(random.Random(3)), pool_of(some)
    counts: Counter[str] = Counter()
    for _ in range(4000):
        chosen = fastest.choose(pool, message(), anybody)
        assert chosen is not None
        counts[chosen.address] += 1
        chosen.measured(0.1 if chosen is once_slow else 1.0)
    assert counts[once_slow.address] > counts[steady.address]


def test_a_conversation_goes_on_with_whoever_spoke_last_in_it() -> None:
    pool, context = pool_of(members(0, 5, 9)), Context(LeastLoaded(Never()))
    assert chosen(context, pool) == "agent-0"
    context.spoke("talk", "agent-1")
    context.spoke("talk", "agent-2")
    assert chosen(context, pool) == "agent-2"
    assert chosen(context, pool, conversation="another") == "agent-0"
    assert chosen(context, pool, fits=all_but("agent-2")) == "agent-1"
    pool.remove("agent-2")
    pool.remove("agent-1")
    assert chosen(context, pool) == "agent-0"


def test_as_many_conversations_and_speakers_are_remembered_as_there_is_room_for() -> None:
    pool, context = pool_of(members(0, *[5] * 20)), Context(LeastLoaded(Never()))
    context.spoke("silent", "agent-1")
    context.spoke("kept", "agent-1")
    for number in range(REMEMBERED - 2):
        context.spoke(f"talk {number}", "agent-1")
    context.spoke("kept", "agent-1")
    context.spoke("one more", "agent-1")
    assert chosen(context, pool, conversation="kept") == "agent-1"
    assert chosen(context, pool, conversation="silent", fits=all_but("agent-1")) != "agent-1"
    for speaker in range(2, 3 + SPEAKERS):
        context.spoke("kept", f"agent-{speaker}")
    assert len(context._speakers) == REMEMBERED
    assert len(context._speakers["kept"]) == SPEAKERS
    assert "silent" not in context._speakers


def chosen(
    context: Context, pool: Pool, *, conversation: str = "talk", fits: Callable[[Member], bool] = anybody
) -> str:
    found = context.choose(pool, message(conversation), fits)
    assert found is not None
    return found.address


class PoolMachine(RuleBasedStateMachine):
    """A pool against the set of its members and the history of turns."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.there: dict[str, Member] = {}
        self.since: dict[str, Counter[str]] = {}
        """By member, the turns of others since it had one, or came."""
        self.number = 0

    @rule()
    def add(self) -> None:
        member = Member(f"agent-{self.number}", Box())
        self.number += 1
        self.there[member.address] = member
        self.since[member.address] = Counter()
        self.pool.add(member)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.there)))
        self.pool.remove(address)
        del self.there[address], self.since[address]

    @precondition(lambda self: self.there)
    @rule(refused=st.integers(0, 3))
    def turn(self, refused: int) -> None:
        looked_at = [member for _, member in zip(range(refused + 1), self.pool.in_turn(), strict=False)]
        for member in looked_at:
            for address, others in self.since.items():
                if address != member.address:
                    others[member.address] += 1
                    # Last in one round and first in the next.
                    assert others[member.address] <= 2
            self.since[member.address] = Counter()

    @invariant()
    def holds_its_members(self) -> None:
        assert {member.address for member in self.pool} == self.there.keys()
        assert len(self.pool) == len(self.there)
        assert all(self.pool.get(address) is member for address, member in self.there.items())
        assert self.pool.get("nobody") is None


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=50)
