"""What an initiator says in a contract net.

Every message has an idempotency key of its own: one that a restarted server sends again is not acted on twice.
"""

from typing import Any

import msgspec

from caxton.domain.contract_net import Contract, Party
from caxton.domain.message import Message, Performative
from caxton.domain.trace import traceparent


class Speaker:
    """Makes the initiator's messages. `message_id` and `now` come with each: they are the caller's."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._trace = traceparent(contract.id)

    def call(self, party: Party, *, message_id: str, now: float) -> Message:
        """The cfp of the contract's round; from the second on with the best offer, and the participant's own."""
        contract = self._contract
        about = self._about(round=contract.round, rounds=contract.terms.rounds)
        about |= {"capability": contract.capability} if contract.capability else {}
        about |= {"max_cost": contract.terms.max_cost} if contract.terms.max_cost is not None else {}
        if contract.best and party.bid:
            about["best"] = msgspec.to_builtins(contract.best)
            about["yours"] = msgspec.to_builtins(party.bid.offer)
            about["leading"] = party.agent == contract.leader
        return self._message(
            Performative.CFP,
            party.agent,
            {**contract.content, "text": contract.task, "contract": about},
            key=f"call-{contract.round}",
            message_id=message_id,
            now=now,
            reply_by=contract.deadline,
        )

    def accept(self, party: Party, *, now: float, at_least: float) -> Message:
        """The accept-proposal: the task once more and nothing else, for it is what the participant's model is shown.

        Said again by a restarted server, its answer may be there: `at_least` seconds are given to find it.
        """
        contract, award = self._contract, party.award
        if award is None:
            raise ValueError(f"{party.agent!r} was not awarded {contract.id}")
        return self._message(
            Performative.ACCEPT_PROPOSAL,
            party.agent,
            {**contract.content, "text": contract.task},
            key="award",
            message_id=award.message,
            now=now,
            reply_by=max(award.at + contract.terms.done_within, now + at_least),
        )

    def reject(self, agent: str, why: str, *, message_id: str, now: float) -> Message:
        content = {"contract": self._about(), "why": why}
        return self._message(Performative.REJECT_PROPOSAL, agent, content, key="reject", message_id=message_id, now=now)

    def not_understood(self, agent: str, reply: Message, why: str, *, message_id: str, now: float) -> Message:
        """What answers a proposal that is none."""
        content = {"contract": self._about(), "why": why}
        message = self._message(
            Performative.NOT_UNDERSTOOD, agent, content, key="not-understood", message_id=message_id, now=now
        )
        return msgspec.structs.replace(message, in_reply_to=reply.id)

    def cancel(self, award: Message, why: str, *, message_id: str, now: float, reply_by: float) -> Message:
        """The cancel of an accept-proposal: FIPA SC00029H, §1.2, the cancel meta-protocol."""
        content = {"contract": self._about(), "why": why, "message": award.id}
        message = self._message(
            Performative.CANCEL,
            award.receiver,
            content,
            key="cancel",
            message_id=message_id,
            now=now,
            reply_by=reply_by,
        )
        return msgspec.structs.replace(message, in_reply_to=award.id)

    def _about(self, **fields: Any) -> dict[str, Any]:
        return {"id": self._contract.id, **fields}

    def _message(
        self,
        performative: Performative,
        agent: str,
        content: dict[str, Any],
        *,
        key: str,
        message_id: str,
        now: float,
        reply_by: float | None = None,
    ) -> Message:
        contract = self._contract
        return Message(
            id=message_id,
            performative=performative,
            sender=contract.initiator,
            receiver=agent,
            conversation_id=contract.id,
            created_at=now,
            content=content,
            reply_by=reply_by,
            protocol=contract.protocol,
            idempotency_key=f"{contract.id}:{key}",
            trace=traceparent(message_id, self._trace),
        )
