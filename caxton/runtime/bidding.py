"""How an agent answers calls for proposals: by its `[contract_net]` policy, without its model.

The calls of Caxton's own contracts say under `contract` what the task is for; one of anybody else needs a text only.
"""

import math
from typing import Any

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.bids import BiddingPolicy, Offer
from caxton.domain.capability import read_capability
from caxton.domain.message import Message, Performative

UNDERCUT = 0.95
"""What is bid in a further round, as a part of the best bid of the one before, if the policy goes as low."""

Answer = tuple[Performative, dict[str, Any]]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a call says of its contract: the capability asked for, the most it may cost, and how the last round went."""

    capability: str | None = None
    max_cost: float | None = None
    best: Offer | None = None
    yours: Offer | None = None
    leading: bool = False


def bid(definition: AgentDefinition, message: Message, *, load: int) -> Answer:
    """The answer to a cfp, and its content: a proposal, a refusal that says why, or that it was not understood.

    `load` is how many messages the agent has in hand, this one included. The same call always has the same answer from
    an agent with as much in hand.
    """
    others = max(0, load - 1)
    text = message.text
    if not text.strip():
        return _told(Performative.NOT_UNDERSTOOD, "The call has no text: nobody knows what the task is.")
    try:
        about = msgspec.convert(message.content.get("contract", {}), About)
    except msgspec.ValidationError as error:
        return _told(Performative.NOT_UNDERSTOOD, f"What the call says of its contract is not to be read: {error}")
    policy = definition.contract_net
    if why := _unwilling(definition, about.capability, text, others):
        return _told(Performative.REFUSE, why)
    cost = _cost(policy, text, about)
    if about.max_cost is not None and cost > about.max_cost:
        return _told(Performative.REFUSE, f"It costs {cost:g}, and may cost {about.max_cost:g}.")
    offer = Offer(
        cost=cost,
        load=min(1.0, others / policy.max_load),
        estimated_seconds=policy.estimated_seconds,
        quality=policy.quality,
    )
    return Performative.PROPOSE, msgspec.to_builtins(offer)


def _unwilling(definition: AgentDefinition, capability: str | None, text: str, others: int) -> str:
    """Why the agent does not want a task, empty where it does."""
    policy = definition.contract_net
    if not policy.bid:
        return "It takes no part in contracts."
    if capability is not None:
        wanted = read_capability(capability)
        if not any(read_capability(own).meets(wanted) for own in definition.capabilities):
            return f"It has no capability {capability!r}."
    if policy.words and not any(word.casefold() in text.casefold() for word in policy.words):
        return "The task has none of the words that it bids on."
    if others >= policy.max_load:
        return f"It has {others} other messages in hand, and bids below {policy.max_load}."
    return ""


def _cost(policy: BiddingPolicy, text: str, about: About) -> float:
    """The price of the policy; less where it is beaten, or above what is paid, but never below its lowest."""
    cost = policy.cost + policy.cost_per_1k_characters * len(text) / 1000
    lowest = cost if policy.lowest_cost is None else min(policy.lowest_cost, cost)
    if about.yours:
        cost = min(cost, about.yours.cost)
    bounds = [about.max_cost] if about.max_cost is not None else []
    if about.best and not about.leading:
        bounds.append(about.best.cost * UNDERCUT)
    wanted = min((bound for bound in bounds if math.isfinite(bound)), default=cost)
    return max(lowest, min(cost, wanted))


def _told(performative: Performative, why: str) -> Answer:
    return performative, {"why": why}
