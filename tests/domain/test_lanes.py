from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.messages import a_request

from caxton.domain.lanes import EVERY, Lanes


def message(text: str = "", conversation: str = "one", priority: int = 5):
    return a_request(text, conversation_id=conversation, priority=priority)


def take_all(lanes: Lanes) -> list[str]:
    texts = []
    while taken := lanes.take():
        lane, one, _ = taken
        texts.append(one.text)
        lanes.done(lane)
    return texts


def test_a_conversation_is_taken_in_its_order_one_at_a_time():
    lanes = Lanes()
    for text in "abc":
        lanes.put(message(text))
    lane, first, again = lanes.take()
    assert (first.text, again) == ("a", False)
    assert lanes.take() is None
    lanes.done(lane)
    assert take_all(lanes) == ["b", "c"]
    assert len(lanes) == 0


def test_conversations_of_one_priority_take_turns():
    lanes = Lanes()
    for text, conversation in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")]:
        lanes.put(message(text, conversation))
    assert take_all(lanes) == ["a1", "b1", "a2", "b2"]


def test_the_urgent_goes_first():
    lanes = Lanes()
    for priority in (1, 9, 5):
        lanes.put(message(str(priority), conversation=str(priority), priority=priority))
    assert take_all(lanes) == ["9", "5", "1"]


def test_what_is_urgent_makes_haste_with_what_is_before_it_in_its_conversation():
    lanes = Lanes()
    lanes.put(message("waits", "a", 5))
    lanes.put(message("before", "b", 1))
    lanes.put(message("urgent", "b", 9))
    assert take_all(lanes) == ["before", "urgent", "waits"]


def test_one_of_no_urgency_is_taken_however_much_there_is_of_more():
    lanes = Lanes()
    lanes.put(message("patient", "slow", 0))
    for number in range(3):
        lanes.put(message("hasty", f"hasty {number}", 9))
    taken = []
    for _ in range(4 * EVERY):
        lane, one, _ = lanes.take()
        taken.append(one.text)
        lanes.put(message("hasty", lane.conversation, 9))
        lanes.done(lane)
    assert "patient" in taken


def test_a_head_that_is_to_be_begun_again_keeps_its_place():
    lanes = Lanes()
    lanes.put(message("first"))
    lanes.put(message("second"))
    lane, _, _ = lanes.take()
    lanes.again(lane)
    lane, one, again = lanes.take()
    assert (one.text, again) == ("first", True)
    lanes.done(lane)
    assert take_all(lanes) == ["second"]


def test_clearing_leaves_nothing_behind():
    lanes = Lanes()
    lanes.put(message("under way", "a"))
    lanes.take()
    lanes.put(message("waiting", "b"))
    assert {one.text for one in lanes.clear()} == {"under way", "waiting"}
    assert (len(lanes), lanes.ready, lanes.take()) == (0, 0, None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=60))
def test_whatever_the_priorities_each_conversation_keeps_its_order(given_messages):
    lanes, expected, got = Lanes(), defaultdict(list), defaultdict(list)
    for number, (conversation, priority) in enumerate(given_messages):
        lanes.put(message(str(number), str(conversation), priority))
        expected[str(conversation)].append(str(number))
    while taken := lanes.take():
        lane, one, _ = taken
        got[lane.conversation].append(one.text)
        lanes.done(lane)
    assert got == expected


class Anything(RuleBasedStateMachine):
    """Lanes against lists: any sequence of puts, takes and ends."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.waiting: dict[str, list] = {}
        self.taken: dict[str, tuple] = {}
        self.number = 0

    @rule(conversation=st.sampled_from("abcd"), priority=st.integers(0, 9))
    def put(self, conversation, priority):
        self.number += 1
        one = message(str(self.number), conversation, priority)
        self.lanes.put(one)
        self.waiting.setdefault(conversation, []).append(one)

    @rule()
    def take(self):
        free = {name: all_of[0] for name, all_of in self.waiting.items() if name not in self.taken}
        taken = self.lanes.take()
        assert (taken is None) == (not free)
        if taken:
            lane, one, _ = taken
            assert free[lane.conversation] is one
            self.taken[lane.conversation] = taken

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), again=st.booleans())
    def end(self, data, again):
        conversation = data.draw(st.sampled_from(sorted(self.taken)))
        lane, _, _ = self.taken.pop(conversation)
        if again:
            self.lanes.again(lane)
            return
        self.lanes.done(lane)
        self.waiting[conversation].pop(0)
        if not self.waiting[conversation]:
            del self.waiting[conversation]

    @invariant()
    def counts_agree(self):
        assert len(self.lanes) == sum(map(len, self.waiting.values()))
        assert self.lanes.ready == len(self.waiting) - len(self.taken)


TestAnything = Anything.TestCase
