"""Offers, and how they are compared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.bids import Bid, Offer, ScoringPolicy, TrackRecord, ranked, read_offer

AMOUNT = st.floats(0, 1e12)
SHARE = st.floats(0, 1)
OFFERS = st.builds(Offer, cost=AMOUNT, load=SHARE, estimated_seconds=st.none() | AMOUNT, quality=st.none() | SHARE)
WEIGHT = st.floats(0, 100)
POLICIES = st.builds(ScoringPolicy, cost=WEIGHT, load=WEIGHT, success=WEIGHT, time=WEIGHT, quality=WEIGHT)
RECORDS = st.builds(TrackRecord, performed=st.integers(0, 99), failed=st.integers(0, 99))


def bids(*offers: Offer) -> dict[str, Bid]:
    return {f"agent-{n}": Bid(round=1, at=float(n), offer=offer) for n, offer in enumerate(offers)}


def best(policy: ScoringPolicy, *offers: Offer, records: dict[str, TrackRecord] | None = None) -> str:
    scores = policy.scores(bids(*offers), records or {})
    return max(scores, key=lambda agent: scores[agent])


@given(POLICIES, st.lists(OFFERS, max_size=20), st.dictionaries(st.sampled_from(["agent-0", "agent-1"]), RECORDS))
def test_every_bid_has_a_score_from_0_to_1(policy, offers, records):
    scores = policy.scores(bids(*offers), records)
    assert scores.keys() == bids(*offers).keys()
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in scores.values())


@given(POLICIES, st.lists(OFFERS, min_size=1, max_size=10), RECORDS, st.data())
def test_a_better_offer_never_scores_less(policy, offers, record, data):
    one = data.draw(st.sampled_from(offers))
    better = Offer(
        cost=data.draw(st.floats(0, one.cost)),
        load=data.draw(st.floats(0, one.load)),
        estimated_seconds=one.estimated_seconds and data.draw(st.floats(0, one.estimated_seconds)),
        quality=data.draw(st.floats(one.quality or 0.0, 1)),
    )
    records = {"agent-0": record, "agent-1": TrackRecord(performed=record.performed + 1, failed=record.failed)}
    scores = policy.scores(bids(one, better, *offers), records)
    assert scores["agent-1"] >= scores["agent-0"] - 1e-9


def test_each_weight_alone_decides_by_its_own_criterion():
    one = Offer(cost=2, load=0.1, estimated_seconds=9, quality=0.9)
    other = Offer(cost=1, load=0.2, estimated_seconds=10, quality=0.8)
    nothing = {"cost": 0, "load": 0, "success": 0, "time": 0, "quality": 0}
    won = {name: best(ScoringPolicy(**{**nothing, name: 1}), one, other) for name in nothing if name != "success"}
    assert won == {"cost": "agent-1", "load": "agent-0", "time": "agent-0", "quality": "agent-0"}
    proven = {"agent-1": TrackRecord(performed=1)}
    assert best(ScoringPolicy(**{**nothing, "success": 1}), one, other, records=proven) == "agent-1"


def test_what_was_not_bid_counts_nothing():
    policy = ScoringPolicy(cost=0, load=0, success=0, time=1, quality=1)
    assert policy.scores(bids(Offer(cost=1)), {}) == {"agent-0": 0.0}


def test_an_agent_that_nobody_knows_is_even_odds():
    assert TrackRecord().success == 0.5
    assert TrackRecord(performed=3).success > 0.5 > TrackRecord(failed=3).success


@given(st.lists(st.tuples(st.floats(0, 1), SHARE), max_size=50))
def test_the_best_scored_comes_first_and_among_equals_the_least_loaded(pairs):
    made = {
        f"agent-{n}": Bid(round=1, at=0.0, offer=Offer(cost=1, load=load), score=score)
        for n, (score, load) in enumerate(pairs)
    }
    order = [(-(made[agent].score or 0.0), made[agent].offer.load) for agent in ranked(made)]
    assert order == sorted(order)
    assert len(order) == len(pairs)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"cost": "1"},
        {"cost": True},
        {"cost": -1},
        {"cost": math.nan},
        {"cost": math.inf},
        {"cost": None},
        {"cost": 1, "load": 2},
        {"cost": 1, "estimated_seconds": math.inf},
        {"cost": 1, "quality": -0.1},
        {"cost": [1]},
    ],
)
def test_what_is_no_offer_is_told_apart(content):
    with pytest.raises(ValueError, match=r"."):
        read_offer(content)


def test_an_offer_may_have_other_things_with_it():
    assert read_offer({"cost": 3, "text": "I will do it for three.", "colour": "red"}) == Offer(cost=3.0)
