"""What an agent does on each communicative act: the table of `domain.protocol`, carried out."""

import msgspec

from caxton.domain.agent import AgentDefinition, LlmOptions
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative, answer_to
from caxton.domain.misunderstanding import Finding, not_understood
from caxton.domain.ports.clock import Clock
from caxton.domain.protocol import ACTS, Handling
from caxton.runtime.bidding import bid
from caxton.runtime.offered import held_to, misfit, offer_asked_for
from caxton.runtime.subscriptions import Subscriptions
from caxton.runtime.turn import TurnLoop

DECISION = {
    "type": "object",
    "properties": {"accept": {"type": "boolean"}, "reason": {"type": "string", "maxLength": 300}},
    "required": ["accept", "reason"],
    "additionalProperties": False,
}
"""How the model says whether it takes a proposal."""


class Acts:
    """Answers messages of every performative, for all agents; whatever belongs to one comes with the call."""

    def __init__(self, *, turns: TurnLoop, subscriptions: Subscriptions, clock: Clock, new_id: IdSource) -> None:
        self._turns = turns
        self._subscriptions = subscriptions
        self._clock = clock
        self._new_id = new_id

    async def perform(self, agent: AgentDefinition, message: Message, *, load: int, cancelled: int) -> Message | None:
        """The reply to a message, a failure where a CaxtonError kept the agent from answering; None where none is due.

        `load` is how many messages the agent has in hand; `cancelled` how many a cancel has ended. Any other exception
        is a crash and leaves as it is.
        """
        act = ACTS[message.performative]
        match act.handling:
            case Handling.TURN:
                return await self._turn(agent, message)
            case Handling.DECIDE:
                return await self._decide(agent, message)
            case Handling.BID:
                performative, content = bid(agent, message, load=load)
                return self._answer(message, performative, content)
            case Handling.CANCEL:
                cancelled += await self._subscriptions.end(message)
                text = "Cancelled." if cancelled else "There was nothing to cancel."
                return self._answer(message, Performative.INFORM, {"text": text, "cancelled": cancelled})
            case Handling.SUBSCRIBE:
                await self._subscriptions.add(message)
                text = f"You will hear whenever the state of {agent.name!r} changes."
                return self._answer(message, Performative.AGREE, {"text": text})
            case Handling.NOTE:
                return None
            case Handling.REJECT:
                what = f"is {message.performative.value!r}, which no agent acts on."
                finding = Finding(field="performative", message=what)
                return not_understood(message, [finding], id=self._new_id(), now=self._clock.now(), by=agent.name)

    def failed(self, message: Message, error: CaxtonError) -> Message:
        """The failure that answers a message."""
        return self._answer(message, Performative.FAILURE, _content(error))

    async def _turn(self, agent: AgentDefinition, message: Message) -> Message:
        """The model's answer, held to the schema of the capability that was asked for."""
        offer = offer_asked_for(agent, message)
        held = held_to(agent, offer)
        reply = await self._turns.run(held, message)
        if offer is None or held is agent or reply.performative is not Performative.INFORM:
            return reply
        if wrong := misfit(offer, reply.content):
            detail = f"Agent {agent.name!r} was to answer in the schema of {str(offer.name)!r} and did not."
            return self.failed(message, CaxtonError(Code.PROVIDER_MALFORMED, detail, why=f"{wrong}."))
        return reply

    async def _decide(self, agent: AgentDefinition, message: Message) -> Message:
        """Yes or no to a proposal, by the model (FIPA SC00036H)."""
        reply = await self._turns.run(with_schema(agent, DECISION), message)
        if reply.performative is not Performative.INFORM:
            return reply
        decision = reply.content["data"]
        performative = Performative.ACCEPT_PROPOSAL if decision["accept"] else Performative.REJECT_PROPOSAL
        content = {**reply.content, "text": decision["reason"]}
        return msgspec.structs.replace(reply, performative=performative, content=content)

    def _answer(self, message: Message, performative: Performative, content: dict[str, object]) -> Message:
        return answer_to(message, performative, content, id=self._new_id(), now=self._clock.now())


def with_schema(agent: AgentDefinition, schema: dict[str, object]) -> AgentDefinition:
    """The agent, held to answers of that JSON schema."""
    llm: LlmOptions = msgspec.structs.replace(agent.llm, response_schema=schema)
    return msgspec.structs.replace(agent, llm=llm)


def _content(error: CaxtonError) -> dict[str, object]:
    return {"error": msgspec.to_builtins(error.report())}
