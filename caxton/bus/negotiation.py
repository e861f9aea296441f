"""The initiator's side of one contract, as a value that steps change: no bus, no clock, no waiting.

Whatever comes, in whatever order, each participant walks the table `PARTY_STEPS` and ends in one final state.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from caxton.domain.bids import Bid, Offer, TrackRecord, ranked, read_bid
from caxton.domain.contract_net import (
    ANSWERS,
    PARTY_STEPS,
    PENDING,
    RESULTS,
    Award,
    Contract,
    ContractStep,
    Party,
    PartyState,
    PartyStep,
)
from caxton.domain.message import Message, Performative


class Negotiation:
    """A contract under way. `contract` is it as it is by now."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._parties = {party.agent: party for party in contract.parties}

    @property
    def contract(self) -> Contract:
        return msgspec.structs.replace(self._contract, parties=tuple(self._parties.values()))

    def party(self, agent: str) -> Party:
        return self._parties[agent]

    def those(self, state: PartyState) -> list[Party]:
        """The participants in a state, in the order in which they were called."""
        return [party for party in self._parties.values() if party.state is state]

    @property
    def standing(self) -> list[str]:
        """Those whose bids stand, the best first."""
        return ranked({party.agent: bid for party in self.those(PartyState.PROPOSED) if (bid := party.bid)})

    @property
    def vacancies(self) -> int:
        """How many more may be awarded now, if there are bids."""
        terms, states = self._contract.terms, [party.state for party in self._parties.values()]
        busy = states.count(PartyState.ACCEPTED) + states.count(PartyState.PERFORMED)
        return min(terms.winners - busy, terms.winners + terms.reserve - self._awards)

    @property
    def reserve(self) -> int:
        """How many bids are worth keeping for when a winner fails."""
        terms = self._contract.terms
        return terms.reserve - max(0, self._awards - terms.winners) if terms.winners > self._performed else 0

    @property
    def _awards(self) -> int:
        return sum(party.award is not None for party in self._parties.values())

    @property
    def _performed(self) -> int:
        return len(self.those(PartyState.PERFORMED))

    # Calls and their answers

    def call(self, deadline: float) -> None:
        """Begin a round, or begin it again: its answers are waited for until then."""
        self._contract = self._contract.step(ContractStep.CALL, deadline=deadline)

    def answered(self, agent: str, round: int, reply: Message) -> Performative | None:
        """Take an answer to the call of a round; what its sender has to be told now, if anything.

        A proposal that comes after the deadline is to be rejected, one that cannot be read was not understood. What
        comes from a stranger, twice, or for an earlier round changes nothing.
        """
        party = self._parties.get(agent)
        if party is None:
            return None
        step = ANSWERS.get(reply.performative, PartyStep.NOT_UNDERSTOOD)
        if party.state is not PartyState.CALLED:
            if step is not PartyStep.PROPOSE or (party.state, step) not in PARTY_STEPS:
                return None
            self._step(agent, step, why="It came after the deadline.")
            return Performative.REJECT_PROPOSAL
        if round != self._contract.round:
            return None
        if step is not PartyStep.PROPOSE:
            self._step(agent, step, why=reason(reply))
            return None
        try:
            bid = read_bid(reply, round)
        except ValueError as error:
            self._step(agent, PartyStep.NOT_UNDERSTOOD, why=str(error))
            return Performative.NOT_UNDERSTOOD
        self._step(agent, step, bids=(*party.bids, bid))
        return None

    def silent(self, agent: str) -> None:
        """The deadline has passed."""
        self._step(agent, PartyStep.SILENCE, why="It did not answer in time.")

    def unreachable(self, agent: str, why: str) -> None:
        self._step(agent, PartyStep.FAIL, why=why)

    # Evaluation

    def evaluate(self, records: Mapping[str, TrackRecord]) -> list[str]:
        """Score the bids that stand; those that cost too much, to be rejected. Costs n log n for n of them."""
        most = self._contract.terms.max_cost
        bids = {party.agent: bid for party in self.those(PartyState.PROPOSED) if (bid := party.bid)}
        dear = [agent for agent, bid in bids.items() if most is not None and bid.offer.cost > most]
        for agent in dear:
            del bids[agent]
        for agent, score in self._contract.terms.scoring.scores(bids, records).items():
            party = self._parties[agent]
            scored = msgspec.structs.replace(bids[agent], score=score)
            self._parties[agent] = msgspec.structs.replace(party, bids=(*party.bids[:-1], scored))
        return dear

    @property
    def goes_on(self) -> bool:
        """Whether another round may better the best bid: there is one to come, two to compete, and the last did."""
        contract, standing = self._contract, self.standing
        if contract.round >= contract.terms.rounds or len(standing) < 2:
            return False
        return contract.best is None or self._offer(standing[0]) != contract.best

    def next_round(self, deadline: float) -> None:
        """Call those again whose bids stand, with the best of them."""
        leader, contract = self.standing[0], self._contract
        self._contract = contract.step(
            ContractStep.CALL, round=contract.round + 1, deadline=deadline, best=self._offer(leader), leader=leader
        )
        for party in self.those(PartyState.PROPOSED):
            self._step(party.agent, PartyStep.CALL)

    # Awards and their results

    def award(self, agent: str, *, message: str, at: float) -> Party:
        """Take a bid that stands."""
        self._contract = self._contract.step(ContractStep.AWARD)
        return self._step(agent, PartyStep.ACCEPT, award=Award(at=at, message=message))

    def reject(self, agents: Collection[str], why: str) -> None:
        for agent in agents:
            self._step(agent, PartyStep.REJECT, why=why)

    def reported(self, agent: str, reply: Message) -> None:
        """Take the answer to an award: an inform is its result, anything else a failure. Once; then it is ignored."""
        if self._parties[agent].state is not PartyState.ACCEPTED:
            return
        step = RESULTS.get(reply.performative, PartyStep.FAIL)
        if step is PartyStep.INFORM:
            self._close(agent, step, "", reply.created_at, reply=reply.id, result=reply.content)
        else:
            self._close(agent, step, reason(reply), reply.created_at, reply=reply.id)

    def broke(self, agent: str, why: str, *, at: float) -> None:
        """An award that could not be carried out."""
        self._close(agent, PartyStep.FAIL, why, at)

    def overdue(self, agent: str, *, at: float) -> None:
        self._close(agent, PartyStep.SILENCE, "It did not finish in time.", at)

    def call_off(self, agent: str, why: str, *, at: float) -> None:
        """End what one that was called or awarded is at."""
        if self._parties[agent].award:
            self._close(agent, PartyStep.CANCEL, why, at)
        else:
            self._step(agent, PartyStep.CANCEL, why=why)

    # The end

    def finish(self, *, at: float) -> Contract:
        """End the contract by what became of its participants, none of whom is under way any more."""
        wanted, done = self._contract.terms.winners, self._performed
        if done >= wanted:
            return self._end(ContractStep.COMPLETE, "", at)
        if not self._awards:
            return self._end(ContractStep.FAIL, "Nobody made a bid that could be taken.", at)
        return self._end(ContractStep.FAIL, f"It was done by {done}, and was to be done by {wanted}.", at)

    def abandon(self, step: ContractStep, why: str, *, at: float) -> Contract:
        """End the contract before its end; nobody is under way any more."""
        return self._end(step, why, at)

    def _end(self, step: ContractStep, why: str, at: float) -> Contract:
        under_way = [party.agent for party in self._parties.values() if party.state in PENDING]
        if under_way:
            raise ValueError(f"a contract does not end while {', '.join(under_way)} is under way")
        self._contract = self._contract.step(step, ended_at=at, why=why, deadline=None)
        return self.contract

    def _close(self, agent: str, step: PartyStep, why: str, at: float, **outcome: Any) -> None:
        award = self._parties[agent].award
        if award is None:
            raise ValueError(f"{agent!r} was awarded nothing")
        self._step(agent, step, why=why, award=msgspec.structs.replace(award, ended_at=at, **outcome))

    def _step(self, agent: str, step: PartyStep, **fields: Any) -> Party:
        party = self._parties[agent] = self._parties[agent].step(step, **fields)
        return party

    def _offer(self, agent: str) -> Offer:
        bid: Bid = self._parties[agent].bids[-1]
        return bid.offer


def reason(reply: Message) -> str:
    """Why somebody refused, failed or did not understand, in its own words."""
    error = reply.content.get("error")
    told = reply.content.get("why") or (error.get("message") if isinstance(error, dict) else None)
    return told if isinstance(told, str) else f"It answered with {reply.performative!s}."
