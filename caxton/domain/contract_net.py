"""The contract net: one task, many who could do it.

    initiator                         participants
        cfp ─────────────────────────────► all            deadline `reply_by`
        ◄──── propose · refuse · not-understood · nothing
        (cfp again, to those that proposed, with the best bid: as often as there are rounds)
        accept-proposal ─────────────────► the winners
        reject-proposal ─────────────────► the others
        ◄──── inform with the result · failure

FIPA SC00029H (Contract Net Interaction Protocol) and SC00030H (Iterated Contract Net Interaction Protocol). What is
kept here is how the initiator sees it: one state of the contract, one of each participant. Whatever the tables have
no step for does not happen: a reply that comes twice, too early or from a stranger changes nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from caxton.domain.bids import Bid, Offer, ScoringPolicy
from caxton.domain.message import Performative

PROTOCOL = "fipa-contract-net"
ITERATED = "fipa-iterated-contract-net"


class ContractState(StrEnum):
    """Where a contract stands.

    calling      calls are out, and answers come until the deadline
    awarded      the winners are at work
    completed    as many as were wanted have done it
    failed       nobody bid, or fewer than were wanted did it
    cancelled    it was called off
    interrupted  the server was down for too long in the middle of it
    """

    CALLING = "calling"
    AWARDED = "awarded"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class ContractStep(StrEnum):
    CALL = "call"
    AWARD = "award"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"
    INTERRUPT = "interrupt"


C, S = ContractState, ContractStep

CONTRACT_STEPS: Mapping[tuple[ContractState, ContractStep], ContractState] = {
    (C.CALLING, S.CALL): C.CALLING,
    (C.CALLING, S.AWARD): C.AWARDED,
    (C.CALLING, S.FAIL): C.FAILED,
    (C.CALLING, S.CANCEL): C.CANCELLED,
    (C.CALLING, S.INTERRUPT): C.INTERRUPTED,
    (C.AWARDED, S.AWARD): C.AWARDED,
    (C.AWARDED, S.COMPLETE): C.COMPLETED,
    (C.AWARDED, S.FAIL): C.FAILED,
    (C.AWARDED, S.CANCEL): C.CANCELLED,
    (C.AWARDED, S.INTERRUPT): C.INTERRUPTED,
}
OPEN = frozenset({C.CALLING, C.AWARDED})
"""What the others are the end of."""


class PartyState(StrEnum):
    """Where a participant stands.

    called          it was sent the call and has not answered
    proposed        its bid stands
    refused         it does not want the task
    not-understood  it did not understand the call, or its answer to it could not be understood
    unreachable     the call did not reach it
    silent          the deadline has passed, and it had not answered
    late            it had not, and then it proposed: that was rejected
    rejected        its bid was not taken
    accepted        its bid was taken; it is at work
    performed       it has done the task
    failed          it could not do it
    overdue         it has not done it in time
    cancelled       the contract was called off before it was through
    """

    CALLED = "called"
    PROPOSED = "proposed"
    REFUSED = "refused"
    NOT_UNDERSTOOD = "not-understood"
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    LATE = "late"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    PERFORMED = "performed"
    FAILED = "failed"
    OVERDUE = "overdue"
    CANCELLED = "cancelled"


class PartyStep(StrEnum):
    """The first half are what a participant does, the second what is done with it."""

    PROPOSE = "propose"
    REFUSE = "refuse"
    NOT_UNDERSTOOD = "not-understood"
    FAIL = "fail"
    INFORM = "inform"
    SILENCE = "silence"
    CALL = "call"
    ACCEPT = "accept"
    REJECT = "reject"
    CANCEL = "cancel"


Q, T = PartyState, PartyStep

PARTY_STEPS: Mapping[tuple[PartyState, PartyStep], PartyState] = {
    (Q.CALLED, T.PROPOSE): Q.PROPOSED,
    (Q.CALLED, T.REFUSE): Q.REFUSED,
    (Q.CALLED, T.NOT_UNDERSTOOD): Q.NOT_UNDERSTOOD,
    (Q.CALLED, T.FAIL): Q.UNREACHABLE,
    (Q.CALLED, T.SILENCE): Q.SILENT,
    (Q.CALLED, T.CANCEL): Q.CANCELLED,
    (Q.SILENT, T.PROPOSE): Q.LATE,
    (Q.PROPOSED, T.CALL): Q.CALLED,
    (Q.PROPOSED, T.ACCEPT): Q.ACCEPTED,
    (Q.PROPOSED, T.REJECT): Q.REJECTED,
    (Q.ACCEPTED, T.INFORM): Q.PERFORMED,
    (Q.ACCEPTED, T.FAIL): Q.FAILED,
    (Q.ACCEPTED, T.SILENCE): Q.OVERDUE,
    (Q.ACCEPTED, T.CANCEL): Q.CANCELLED,
}
PENDING = frozenset({Q.CALLED, Q.PROPOSED, Q.ACCEPTED})
"""What the others are the end of, but that one who was silent may still turn out to be late."""

ANSWERS: Mapping[Performative, PartyStep] = {
    Performative.PROPOSE: T.PROPOSE,
    Performative.REFUSE: T.REFUSE,
    Performative.FAILURE: T.FAIL,
}
"""What an answer to a call is; any other is not understood."""

RESULTS: Mapping[Performative, PartyStep] = {Performative.INFORM: T.INFORM}
"""What an answer to an award is; any other is a failure."""


class IllegalStep(Exception):
    """A step was taken in a state that does not have it: a fault of the caller, never of the user."""

    def __init__(self, state: ContractState | PartyState, step: ContractStep | PartyStep) -> None:
        super().__init__(f"{step!s} is not possible while {state!s}")
        self.state = state
        self.step = step


class Award(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bid that was taken, and what came of it: the content of the inform, which is the message `reply`.

    `message` is the id of the accept-proposal.
    """

    at: float
    message: str
    ended_at: float | None = None
    reply: str | None = None
    result: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The text of the result, empty where there is none."""
        text = (self.result or {}).get("text", "")
        return text if isinstance(text, str) else ""


class Party(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A participant: its bids, one a round, and why it is not (any more) one to choose."""

    agent: str
    state: PartyState = PartyState.CALLED
    bids: tuple[Bid, ...] = ()
    why: str = ""
    award: Award | None = None

    @property
    def bid(self) -> Bid | None:
        """The newest one."""
        return self.bids[-1] if self.bids else None

    def step(self, step: PartyStep, **fields: Any) -> "Party":
        """The participant after a step of the table; IllegalStep where it has none."""
        try:
            state = PARTY_STEPS[self.state, step]
        except KeyError:
            raise IllegalStep(self.state, step) from None
        return msgspec.structs.replace(self, state=state, **fields)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a contract is made. Times are in seconds.

    `reply_within` is how long bids are waited for in each round, `done_within` how long the work may take. There are
    `rounds` at most, the others' with the best bid before. The `winners` best are awarded; where one of them fails or
    does not finish in time, the next best is, `reserve` times at most, and so many bids are not rejected until the
    work is done. Nobody is to cost more than `max_cost`.
    """

    reply_within: float = 10.0
    done_within: float = 300.0
    rounds: int = 1
    winners: int = 1
    reserve: int = 2
    max_cost: float | None = None
    scoring: ScoringPolicy = ScoringPolicy()


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contract, from the call to the end. Times are in seconds since the epoch, UTC.

    `called` is the address that was called: a capability, a group, everybody, or names with commas. `content` is what
    goes with the task's text in calls and awards. The id is that of the conversation, too. `deadline` is that of the
    round; `best` is the best offer of the round before, made by `leader`.
    """

    id: str
    initiator: str
    task: str
    called: str
    created_at: float
    content: dict[str, Any] = {}
    capability: str | None = None
    terms: Terms = Terms()
    state: ContractState = ContractState.CALLING
    round: int = 1
    deadline: float | None = None
    best: Offer | None = None
    leader: str | None = None
    ended_at: float | None = None
    why: str = ""
    parties: tuple[Party, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def protocol(self) -> str:
        return ITERATED if self.terms.rounds > 1 else PROTOCOL

    def step(self, step: ContractStep, **fields: Any) -> "Contract":
        """The contract after a step of the table; IllegalStep where it has none."""
        try:
            state = CONTRACT_STEPS[self.state, step]
        except KeyError:
            raise IllegalStep(self.state, step) from None
        return msgspec.structs.replace(self, state=state, **fields)
