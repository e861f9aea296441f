"""What is asked of an agent by one of its capabilities, and what it answers then."""

from collections.abc import Mapping

import msgspec

from caxton.domain.address import AddressKind, read_address
from caxton.domain.agent import AgentDefinition
from caxton.domain.capability import Capability, by_name, read_capability
from caxton.domain.json_schema import JsonSchema, Misfit
from caxton.domain.message import Message
from caxton.domain.protocol import ACTS

APART = ("text", "images", "history")
"""Fields of a request's content that the model is given in their own ways."""


def offer_asked_for(agent: AgentDefinition, request: Message) -> Capability | None:
    """The agent's capability that a request is addressed to; None where it is addressed to the agent itself."""
    if request.addressed is None or not ACTS[request.performative].answered:
        return None
    kind, name = read_address(request.addressed)
    return by_name(agent.offers).get(str(read_capability(name))) if kind is AddressKind.CAPABILITY else None


def held_to(agent: AgentDefinition, offer: Capability | None) -> AgentDefinition:
    """The agent, whose answers have to fit the output schema of what it offers; one of its own goes before that."""
    if offer is None or offer.output is None or agent.llm.response_schema is not None:
        return agent
    return msgspec.structs.replace(agent, llm=msgspec.structs.replace(agent.llm, response_schema=offer.output))


def misfit(offer: Capability, content: Mapping[str, object]) -> Misfit | None:
    """What in the `data` of an answer does not fit the output schema; None where all does."""
    return JsonSchema(offer.output).misfit(content.get("data")) if offer.output is not None else None


def wording(message: Message) -> str:
    """A message as the model reads it: its text, and as JSON whatever else is in its content.

    Of what asks for no answer the text is enough, where it has one: the rest says how another model came to it.
    """
    rest = {key: value for key, value in message.content.items() if key not in APART}
    if not rest or (message.text and not ACTS[message.performative].answered):
        return message.text
    data = msgspec.json.encode(rest).decode()
    return f"{message.text}\n\n{data}" if message.text else data
