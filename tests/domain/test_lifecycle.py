"""The lifecycle table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from caxton.domain.lifecycle import TRANSITIONS, AgentState, IllegalTransition, Trigger, advance


@given(st.sampled_from(AgentState), st.sampled_from(Trigger))
def test_a_trigger_moves_as_the_table_says_or_not_at_all(state, trigger):
    if (state, trigger) in TRANSITIONS:
        assert advance(state, trigger) is TRANSITIONS[state, trigger]
    else:
        with pytest.raises(IllegalTransition, match=f"{trigger} is not possible while {state}"):
            advance(state, trigger)


def test_every_state_can_be_reached_and_left():
    assert set(TRANSITIONS.values()) == set(AgentState)
    assert {source for source, _ in TRANSITIONS} == set(AgentState)


def test_whatever_is_at_work_can_fail():
    for state in (AgentState.LOADED, AgentState.RUNNING, AgentState.DRAINING):
        assert advance(state, Trigger.FAIL) is AgentState.FAILED


class AnyLife(RuleBasedStateMachine):
    """Whatever triggers come in whatever order, an agent can be brought to rest and started again."""

    def __init__(self):
        super().__init__()
        self.state = AgentState.UNLOADED

    @rule(trigger=st.sampled_from(Trigger))
    def pull(self, trigger):
        if (self.state, trigger) in TRANSITIONS:
            self.state = advance(self.state, trigger)

    @invariant()
    def running_is_within_reach(self):
        reached, edge = {self.state}, {self.state}
        while edge:
            edge = {target for (source, _), target in TRANSITIONS.items() if source in edge} - reached
            reached |= edge
        assert reached == set(AgentState)


TestAnyLife = AnyLife.TestCase
