"""Contracts, seen from outside."""

from typing import Annotated, Any

import msgspec

from caxton.domain.bids import Bid, ScoringPolicy
from caxton.domain.contract_net import Award, Contract, ContractState, Party, PartyState, Terms
from caxton.domain.errors import Code
from caxton.service.api.operation import BodyKind, Operation, PageSize

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class CallForProposals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task, and who is called to bid on it: those with a `capability`, some `agents`, a `group`, or `everybody`.

    `content` goes with the text, and should not have `text` or `contract`. Bids are waited for `deadline` seconds in
    each of at most `rounds`, the work for `work_deadline`. The `winners` best by `weights` are awarded; where one of
    them fails, the next best is, `reserve` times at most. Nobody is to cost more than `max_cost`. Without `wait` the
    answer is the contract as it begins.
    """

    task: str
    capability: Name | None = None
    agents: tuple[Name, ...] = ()
    group: Name | None = None
    everybody: bool = False
    content: dict[str, Any] = {}
    sender: Name | None = None
    deadline: Seconds = 10.0
    work_deadline: Seconds = 300.0
    rounds: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    winners: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    reserve: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 2
    max_cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    weights: ScoringPolicy = ScoringPolicy()
    wait: bool = True


class BidView(msgspec.Struct, frozen=True, kw_only=True):
    """A bid; `score` is from 0 to 1, None while bids come in. `load` is from 0, idle, to 1."""

    round: int
    at: float
    cost: float
    load: float
    estimated_seconds: float | None
    quality: float | None
    score: float | None

    @classmethod
    def of(cls, bid: Bid) -> "BidView":
        offer = bid.offer
        return cls(
            round=bid.round,
            at=bid.at,
            cost=offer.cost,
            load=offer.load,
            estimated_seconds=offer.estimated_seconds,
            quality=offer.quality,
            score=bid.score,
        )


class AwardView(msgspec.Struct, frozen=True, kw_only=True):
    """A bid that was taken. `message` is the accept-proposal, `reply` what answered it, `result` its content."""

    at: float
    ended_at: float | None
    message: str
    reply: str | None
    text: str
    result: dict[str, Any] | None

    @classmethod
    def of(cls, award: Award) -> "AwardView":
        return cls(
            at=award.at,
            ended_at=award.ended_at,
            message=award.message,
            reply=award.reply,
            text=award.text,
            result=award.result,
        )


class PartyView(msgspec.Struct, frozen=True, kw_only=True):
    """A participant, its bids, one a round, and what became of them."""

    agent: str
    state: PartyState
    why: str
    bids: list[BidView]
    award: AwardView | None

    @classmethod
    def of(cls, party: Party) -> "PartyView":
        return cls(
            agent=party.agent,
            state=party.state,
            why=party.why,
            bids=[BidView.of(bid) for bid in party.bids],
            award=AwardView.of(party.award) if party.award else None,
        )


class ContractSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A contract in short. Times are in seconds since the epoch, UTC."""

    id: str
    state: ContractState
    task: str
    called: str
    initiator: str
    participants: int
    bids: int
    awarded: list[str]
    created_at: float
    ended_at: float | None

    @classmethod
    def of(cls, contract: Contract) -> "ContractSummary":
        return cls(
            id=contract.id,
            state=contract.state,
            task=contract.task,
            called=contract.called,
            initiator=contract.initiator,
            participants=len(contract.parties),
            bids=sum(bool(party.bids) for party in contract.parties),
            awarded=[party.agent for party in contract.parties if party.award],
            created_at=contract.created_at,
            ended_at=contract.ended_at,
        )


class ContractView(msgspec.Struct, frozen=True, kw_only=True):
    """A contract with all its participants, bids and results; also the id of its conversation.

    `text` is the first result's. `why` says why it did not succeed.
    """

    id: str
    state: ContractState
    task: str
    called: str
    capability: str | None
    initiator: str
    protocol: str
    terms: Terms
    round: int
    created_at: float
    deadline: float | None
    ended_at: float | None
    why: str
    text: str
    participants: list[PartyView]

    @classmethod
    def of(cls, contract: Contract) -> "ContractView":
        done = [party for party in contract.parties if party.state is PartyState.PERFORMED and party.award]
        return cls(
            id=contract.id,
            state=contract.state,
            task=contract.task,
            called=contract.called,
            capability=contract.capability,
            initiator=contract.initiator,
            protocol=contract.protocol,
            terms=contract.terms,
            round=contract.round,
            created_at=contract.created_at,
            deadline=contract.deadline,
            ended_at=contract.ended_at,
            why=contract.why,
            text=next((party.award.text for party in done if party.award), ""),
            participants=[PartyView.of(party) for party in contract.parties],
        )


class ContractProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is: of so many participants, how many are still to answer, how many bids stand, who is at work."""

    id: str
    state: ContractState
    round: int
    participants: int
    awaited: int
    bids: int
    at_work: list[str]

    @classmethod
    def of(cls, contract: Contract) -> "ContractProgress":
        states = [party.state for party in contract.parties]
        return cls(
            id=contract.id,
            state=contract.state,
            round=contract.round,
            participants=len(states),
            awaited=states.count(PartyState.CALLED),
            bids=states.count(PartyState.PROPOSED),
            at_work=[party.agent for party in contract.parties if party.state is PartyState.ACCEPTED],
        )


class ContractList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of contracts, newest first. `next` is the `before` of the following page, None at the end."""

    contracts: list[ContractSummary]
    next: str | None


class ContractsQuery(msgspec.Struct, frozen=True, kw_only=True):
    state: ContractState | None = None
    limit: PageSize = 50
    before: str | None = None


RUN = Operation(
    name="contracts.run",
    method="POST",
    path="/contracts",
    summary="Have agents bid on a task, and the best of them do it (FIPA contract net)",
    permission="contracts:write",
    response=ContractView,
    body=CallForProposals,
    body_kind=BodyKind.JSON,
    events={"progress": ContractProgress, "contract": ContractView},
    errors=(
        Code.AGENT_NOT_FOUND,
        Code.CAPABILITY_NOT_FOUND,
        Code.CONVERSATION_NOT_FOUND,
        Code.SERVER_STOPPING,
        Code.STORAGE_FAILED,
    ),
)
LIST = Operation(
    name="contracts.list",
    method="GET",
    path="/contracts",
    summary="List contracts, newest first",
    permission="contracts:read",
    response=ContractList,
    query=ContractsQuery,
)
SHOW = Operation(
    name="contracts.show",
    method="GET",
    path="/contracts/{id}",
    summary="Show a contract with every bid, score, award and result",
    permission="contracts:read",
    response=ContractView,
    errors=(Code.CONTRACT_NOT_FOUND,),
)
CANCEL = Operation(
    name="contracts.cancel",
    method="POST",
    path="/contracts/{id}/cancel",
    summary="Call a contract off; one that has ended stays as it ended",
    permission="contracts:write",
    response=ContractView,
    errors=(Code.CONTRACT_NOT_FOUND,),
)

OPERATIONS = (RUN, LIST, SHOW, CANCEL)
