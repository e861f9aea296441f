"""What an agent does on each communicative act, as a table.

The acts and their names are those of FIPA SC00037J; the replies that belong to each follow the interaction protocols
FIPA request (SC00026H), query (SC00027H), propose (SC00036H), subscribe (SC00035H) and contract net (SC00029H).
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from caxton.domain.message import Performative

P = Performative


class Handling(StrEnum):
    """What becomes of a delivered message.

    turn    the agent's model answers it
    decide  the agent's model says yes or no
    bid     the agent's bidding policy answers it, without the model
    cancel  the turn that it names is ended
    subscribe  its sender hears of the agent's changes from now on
    note    it is kept in the conversation; nothing follows
    reject  the runtime does not act on it, and says so with not-understood
    """

    TURN = "turn"
    DECIDE = "decide"
    BID = "bid"
    CANCEL = "cancel"
    SUBSCRIBE = "subscribe"
    NOTE = "note"
    REJECT = "reject"


class Act(msgspec.Struct, frozen=True):
    """How one performative is handled, and the performatives that answer it; none where it asks for no answer."""

    handling: Handling
    replies: tuple[Performative, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether its sender is sent the reply. One that asks for none must not be answered, or two would never end."""
        return bool(self.replies)


ENDS = (P.FAILURE, P.NOT_UNDERSTOOD)
"""What may answer whatever asks for an answer."""

ACTS: Mapping[Performative, Act] = {
    P.REQUEST: Act(Handling.TURN, (P.INFORM, P.REFUSE, P.AGREE, *ENDS)),
    P.QUERY_IF: Act(Handling.TURN, (P.INFORM, P.REFUSE, *ENDS)),
    P.QUERY_REF: Act(Handling.TURN, (P.INFORM, P.REFUSE, *ENDS)),
    P.ACCEPT_PROPOSAL: Act(Handling.TURN, (P.INFORM, *ENDS)),
    P.PROPOSE: Act(Handling.DECIDE, (P.ACCEPT_PROPOSAL, P.REJECT_PROPOSAL, *ENDS)),
    P.CFP: Act(Handling.BID, (P.PROPOSE, P.REFUSE, *ENDS)),
    P.CANCEL: Act(Handling.CANCEL, (P.INFORM, *ENDS)),
    P.SUBSCRIBE: Act(Handling.SUBSCRIBE, (P.AGREE, P.REFUSE, *ENDS)),
    P.INFORM: Act(Handling.TURN),
    P.FAILURE: Act(Handling.TURN),
    P.REFUSE: Act(Handling.TURN),
    P.AGREE: Act(Handling.NOTE),
    P.REJECT_PROPOSAL: Act(Handling.NOTE),
    P.NOT_UNDERSTOOD: Act(Handling.NOTE),
    P.CONFIRM: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.DISCONFIRM: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.INFORM_IF: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.INFORM_REF: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.PROPAGATE: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.PROXY: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.REQUEST_WHEN: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
    P.REQUEST_WHENEVER: Act(Handling.REJECT, (P.NOT_UNDERSTOOD,)),
}
