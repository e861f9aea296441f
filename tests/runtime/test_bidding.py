"""How agents bid, without a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.agent import AgentDefinition
from caxton.domain.bids import BiddingPolicy, read_offer
from caxton.domain.message import Message, Performative
from caxton.runtime.bidding import bid

P = Performative


def agent(*, capabilities: tuple[str, ...] = ("charts:v2", "sums"), **policy: object) -> AgentDefinition:
    return AgentDefinition(
        name="ann", system_prompt="x", capabilities=capabilities, contract_net=BiddingPolicy(**policy)
    )


def call(text: str = "Draw a chart.", content: dict[str, object] | None = None, **contract: object) -> Message:
    return Message(
        id="m",
        performative=P.CFP,
        sender="user",
        receiver="ann",
        conversation_id="c",
        created_at=0.0,
        content=content if content is not None else {"text": text, "contract": {"id": "c", "round": 1, **contract}},
    )


def answer(definition: AgentDefinition, message: Message, load: int = 1) -> tuple[Performative, dict[str, object]]:
    return bid(definition, message, load=load)


def cost(definition: AgentDefinition, message: Message) -> object:
    performative, content = answer(definition, message)
    assert performative is P.PROPOSE
    return content["cost"]


def test_an_agent_bids_as_its_file_says():
    definition = agent(cost=2.0, cost_per_1k_characters=10.0, estimated_seconds=30.0, quality=0.8, max_load=4)
    performative, content = answer(definition, call("x" * 500), load=3)
    assert performative is P.PROPOSE
    assert content == {"cost": 7.0, "load": 0.5, "estimated_seconds": 30.0, "quality": 0.8}


def test_an_agent_without_a_policy_bids_one_when_it_is_asked_for_what_it_can():
    assert answer(agent(), call(capability="charts")) == (P.PROPOSE, {"cost": 1.0, "load": 0.0})
    assert answer(agent(), call(capability="charts:v2"))[0] is P.PROPOSE
    assert answer(agent(capabilities=()), call())[0] is P.PROPOSE


@pytest.mark.parametrize(
    ("policy", "contract", "load", "why"),
    [
        ({"bid": False}, {}, 1, "It takes no part in contracts."),
        ({}, {"capability": "charts:v1"}, 1, "It has no capability 'charts:v1'."),
        ({"words": ("law", "tax")}, {}, 1, "The task has none of the words that it bids on."),
        ({"max_load": 2}, {}, 3, "It has 2 other messages in hand, and bids below 2."),
        ({"cost": 5}, {"max_cost": 4}, 1, "It costs 5, and may cost 4."),
    ],
)
def test_an_agent_that_does_not_want_a_task_says_why(policy, contract, load, why):
    assert answer(agent(**policy), call(**contract), load=load) == (P.REFUSE, {"why": why})


def test_words_are_found_in_any_case():
    assert answer(agent(words=("CHART",)), call("Draw a chart."))[0] is P.PROPOSE


def test_an_agent_that_is_beaten_goes_lower_as_far_as_it_may():
    beaten = {"best": {"cost": 4.0}, "yours": {"cost": 5.0}, "leading": False}
    assert cost(agent(cost=5.0), call(**beaten)) == 5.0
    assert cost(agent(cost=5.0, lowest_cost=1.0), call(**beaten)) == pytest.approx(3.8)
    assert cost(agent(cost=5.0, lowest_cost=3.9), call(**beaten)) == 3.9
    # Whoever leads stays with what it bid.
    leading = {"best": {"cost": 3.8}, "yours": {"cost": 3.8}, "leading": True}
    assert cost(agent(cost=5.0, lowest_cost=1.0), call(**leading)) == 3.8


def test_an_agent_meets_the_most_that_is_paid_if_it_may():
    assert cost(agent(cost=5.0, lowest_cost=3.0), call(max_cost=4.0)) == 4.0
    assert answer(agent(cost=5.0, lowest_cost=3.0), call(max_cost=2.0))[0] is P.REFUSE


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": "  "},
        {"text": 7},
        {"text": "x", "contract": "no"},
        {"text": "x", "contract": {"max_cost": "two"}},
        {"text": "x", "contract": {"best": {"cost": -1}}},
    ],
)
def test_a_call_that_says_nothing_is_not_understood(content):
    performative, told = answer(agent(), call(content=content))
    assert performative is P.NOT_UNDERSTOOD
    assert told["why"]


def test_a_call_of_a_stranger_needs_a_text_only():
    assert answer(agent(), call(content={"text": "Do it."}))[0] is P.PROPOSE


@given(
    st.builds(
        BiddingPolicy,
        cost=st.floats(0, 1e9),
        lowest_cost=st.none() | st.floats(0, 1e9),
        cost_per_1k_characters=st.floats(0, 1e3),
        max_load=st.integers(1, 200),
    ),
    st.integers(0, 500),
    st.none() | st.floats(0, 1e9),
    st.none() | st.floats(0, 1e9),
    st.booleans(),
)
def test_every_proposal_can_be_read_and_is_within_the_policy(policy, load, most, best, leading):
    contract = {} if most is None else {"max_cost": most}
    contract |= {} if best is None else {"best": {"cost": best}, "leading": leading}
    definition = AgentDefinition(name="ann", system_prompt="x", contract_net=policy)
    performative, content = bid(definition, call(**contract), load=load)
    if performative is P.PROPOSE:
        offer = read_offer(content)
        full = policy.cost + policy.cost_per_1k_characters * len("Draw a chart.") / 1000
        assert min(full, policy.lowest_cost if policy.lowest_cost is not None else full) <= offer.cost <= full
        assert most is None or offer.cost <= most
        assert load <= policy.max_load
