"""One contract as the initiator sees it, whatever comes and in whatever order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caxton.bus.negotiation import Negotiation, reason
from caxton.domain.contract_net import (
    PARTY_STEPS,
    PENDING,
    Contract,
    ContractState,
    ContractStep,
    Party,
    PartyState,
    PartyStep,
    Terms,
)
from caxton.domain.message import Message, Performative

CONTENT = st.sampled_from([{"cost": 1}, {"cost": 2.5, "load": 0.5}, {"cost": 7}, {"cost": "dear"}, {}, {"why": "no"}])


def contract(names: list[str], **terms: object) -> Contract:
    parties = tuple(Party(agent=name) for name in names)
    return Contract(
        id="c", initiator="user", task="t", called="all", created_at=0.0, terms=Terms(**terms), parties=parties
    )


def reply(agent: str, performative: Performative, content: dict[str, object] | None = None, at: float = 1.0) -> Message:
    return Message(
        id=f"{agent}-{performative}",
        performative=performative,
        sender=agent,
        receiver="user",
        conversation_id="c",
        created_at=at,
        content=content or {},
    )


class Dealings:
    """Drives a negotiation as the initiator does, and looks after each step whether all is as it has to be."""

    def __init__(self, names: list[str], **terms: object) -> None:
        self.names = names
        self.negotiation = Negotiation(contract(names, **terms))
        self.states = dict.fromkeys(names, PartyState.CALLED)
        self.awarded: list[str] = []
        self.final = False

    @property
    def is_open(self) -> bool:
        return self.negotiation.contract.is_open

    def stray(self, agent: str, round: int, message: Message) -> None:
        """A message that comes when it comes, of whatever sort."""
        was = self.states.get(agent)
        told = self.negotiation.answered(agent, round, message)
        if was is PartyState.SILENT and message.performative is Performative.PROPOSE:
            assert told is Performative.REJECT_PROPOSAL
            assert self.negotiation.party(agent).state is PartyState.LATE
        elif was is not PartyState.CALLED or round != self.negotiation.contract.round:
            assert told is None
            assert was is None or self.negotiation.party(agent).state is was
        elif told is not None:
            assert told is Performative.NOT_UNDERSTOOD
            assert self.negotiation.party(agent).state is PartyState.NOT_UNDERSTOOD

    def go_on(self, choice: int) -> None:
        """What the initiator would do next; `choice` says what it meets with."""
        negotiation = self.negotiation
        called, at_work = negotiation.those(PartyState.CALLED), negotiation.those(PartyState.ACCEPTED)
        if called:
            self._answer(called[choice % len(called)].agent, choice)
        elif not self.final:
            self._end_of_round()
        elif negotiation.vacancies and negotiation.standing:
            agent = negotiation.standing[0]
            negotiation.award(agent, message=f"award-{agent}", at=2.0)
            self.awarded.append(agent)
        elif at_work:
            self._end_of_work(at_work[choice % len(at_work)].agent, choice)
        elif self.is_open:
            self._end()

    def _answer(self, agent: str, choice: int) -> None:
        match choice % 5:
            case 0:
                self.negotiation.silent(agent)
            case 1:
                self.negotiation.unreachable(agent, "gone")
            case cost:
                proposal = reply(agent, Performative.PROPOSE, {"cost": cost * 2})
                assert self.negotiation.answered(agent, self.negotiation.contract.round, proposal) is None

    def _end_of_round(self) -> None:
        negotiation, most = self.negotiation, self.negotiation.contract.terms.max_cost
        negotiation.reject(negotiation.evaluate({}), "too dear")
        standing = [negotiation.party(agent).bid for agent in negotiation.standing]
        scores = [bid.score for bid in standing]
        assert scores == sorted(scores, reverse=True)
        assert most is None or all(bid.offer.cost <= most for bid in standing)
        if negotiation.goes_on:
            negotiation.next_round(9.0)
        else:
            self.final = True

    def _end_of_work(self, agent: str, choice: int) -> None:
        negotiation = self.negotiation
        match choice % 4:
            case 0:
                negotiation.overdue(agent, at=3.0)
            case 1:
                negotiation.broke(agent, "gone", at=3.0)
            case 2:
                negotiation.call_off(agent, "changed my mind", at=3.0)
            case _:
                performative = [*Performative][choice % len(Performative)]
                negotiation.reported(agent, reply(agent, performative, {"text": "done"}))
                first = negotiation.party(agent)
                negotiation.reported(agent, reply(agent, Performative.INFORM, {"text": "again"}))
                assert negotiation.party(agent) == first
                assert (first.state is PartyState.PERFORMED) == (performative is Performative.INFORM)

    def _end(self) -> None:
        self.negotiation.reject(self.negotiation.standing, "another was taken")
        ended = self.negotiation.finish(at=4.0)
        done = [party for party in ended.parties if party.state is PartyState.PERFORMED]
        assert (ended.state is ContractState.COMPLETED) == (len(done) == ended.terms.winners)
        assert not PENDING & {party.state for party in ended.parties}

    def look(self) -> None:
        """Every change was a step of the table or two, an end is an end, and nobody was awarded twice."""
        terms, parties = self.negotiation.contract.terms, self.negotiation.contract.parties
        for party in parties:
            was, self.states[party.agent] = self.states[party.agent], party.state
            assert was in PENDING or party.state in (was, PARTY_STEPS.get((was, PartyStep.PROPOSE)))
        awards = [party for party in parties if party.award]
        assert len(awards) == len(self.awarded) == len(set(self.awarded)) <= terms.winners + terms.reserve
        assert sum(party.state is PartyState.PERFORMED for party in awards) <= terms.winners
        assert all(party.bid for party in awards)


CHOICES = st.integers(0, 999)
STRAYS = st.tuples(CHOICES, st.integers(1, 3), st.sampled_from(Performative) | st.just(Performative.PROPOSE), CONTENT)


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(1, 6),
    rounds=st.integers(1, 3),
    winners=st.integers(1, 3),
    reserve=st.integers(0, 2),
    max_cost=st.sampled_from([None, 7.0]),
    moves=st.lists(CHOICES | STRAYS, max_size=60),
)
def test_whatever_comes_in_whatever_order_everybody_ends_once(count, rounds, winners, reserve, max_cost, moves):
    names = [f"agent-{n}" for n in range(count)]
    dealings = Dealings(names, rounds=rounds, winners=winners, reserve=reserve, max_cost=max_cost)
    for move in moves:
        if isinstance(move, int):
            dealings.go_on(move)
        else:
            choice, round, performative, content = move
            agent = [*names, "stranger"][choice % (count + 1)]
            dealings.stray(agent, round, reply(agent, performative, content))
        dealings.look()
    last = 7
    while dealings.is_open:
        dealings.go_on(last)
        dealings.look()
        last += 4


def test_a_contract_does_not_end_while_somebody_is_at_work():
    negotiation = Negotiation(contract(["a"]))
    with pytest.raises(ValueError, match="while a is under way"):
        negotiation.abandon(ContractStep.CANCEL, "", at=1.0)


def test_a_further_round_is_for_two_who_better_each_other():
    negotiation = Negotiation(contract(["a", "b"], rounds=5))
    costs = {"a": [5, 5, 4, 4], "b": [6, 4.5, 4.5, 4.5]}
    for round, (a, b) in enumerate(zip(*costs.values(), strict=True), start=1):
        negotiation.answered("a", round, reply("a", Performative.PROPOSE, {"cost": a}))
        negotiation.answered("b", round, reply("b", Performative.PROPOSE, {"cost": b}))
        negotiation.evaluate({})
        if not negotiation.goes_on:
            break
        negotiation.next_round(9.0)
    # The fourth round bettered nothing.
    assert round == 4
    assert negotiation.standing == ["a", "b"]
    assert (negotiation.contract.best.cost, negotiation.contract.leader) == (4, "a")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"why": "no time"}, "no time"),
        ({"error": {"message": "broken"}}, "broken"),
        ({"error": "?"}, "It answered with refuse."),
        ({"why": 7}, "It answered with refuse."),
    ],
)
def test_the_reason_is_told_in_the_participants_words(content, told):
    assert reason(reply("a", Performative.REFUSE, content)) == told
