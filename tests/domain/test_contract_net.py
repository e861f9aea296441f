"""The states of contracts and participants."""

from itertools import product

import pytest

from caxton.domain.contract_net import (
    ANSWERS,
    CONTRACT_STEPS,
    OPEN,
    PARTY_STEPS,
    PENDING,
    RESULTS,
    Contract,
    ContractState,
    ContractStep,
    IllegalStep,
    Party,
    PartyState,
    PartyStep,
)


def contract(state: ContractState) -> Contract:
    return Contract(id="c", initiator="user", task="t", called="all", created_at=0.0, state=state)


@pytest.mark.parametrize(("state", "step"), [*product(ContractState, ContractStep)])
def test_a_contract_takes_the_steps_of_the_table_and_no_other(state, step):
    if target := CONTRACT_STEPS.get((state, step)):
        assert contract(state).step(step).state is target
    else:
        with pytest.raises(IllegalStep, match=f"{step} is not possible while {state}"):
            contract(state).step(step)


@pytest.mark.parametrize(("state", "step"), [*product(PartyState, PartyStep)])
def test_a_participant_takes_the_steps_of_the_table_and_no_other(state, step):
    if target := PARTY_STEPS.get((state, step)):
        assert Party(agent="a", state=state).step(step).state is target
    else:
        with pytest.raises(IllegalStep, match=f"{step} is not possible while {state}"):
            Party(agent="a", state=state).step(step)


def test_what_is_not_open_is_the_end():
    assert {state for state, _ in CONTRACT_STEPS} == OPEN
    assert {state for state, _ in PARTY_STEPS} - PENDING == {PartyState.SILENT}
    # Who was silent may be late, and that is all.
    assert [step for state, step in PARTY_STEPS if state is PartyState.SILENT] == [PartyStep.PROPOSE]


@pytest.mark.parametrize(("states", "steps"), [(ContractState, CONTRACT_STEPS), (PartyState, PARTY_STEPS)])
def test_every_state_is_reached_and_every_step_taken(states, steps):
    first = next(iter(states))
    reached = {first}
    for _ in states:
        reached |= {target for (state, _), target in steps.items() if state in reached}
    assert reached == set(states)
    kind = type(next(iter(steps))[1])
    assert {step for _, step in steps} == set(kind)


def test_whatever_answers_a_call_or_an_award_is_a_step_of_the_table():
    assert all((PartyState.CALLED, step) in PARTY_STEPS for step in {*ANSWERS.values(), PartyStep.NOT_UNDERSTOOD})
    assert all((PartyState.ACCEPTED, step) in PARTY_STEPS for step in {*RESULTS.values(), PartyStep.FAIL})


def test_a_contract_of_several_rounds_names_the_iterated_protocol():
    assert contract(ContractState.CALLING).protocol == "fipa-contract-net"
