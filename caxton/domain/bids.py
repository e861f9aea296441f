"""Bids: what agents offer to do a task for, and how offers are compared."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from caxton.domain.message import Message

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BiddingPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an agent answers calls for proposals. What a cost is measured in is up to whoever compares them.

    It asks for `cost` and for `cost_per_1k_characters` of the task's text, and where it is beaten, or the caller pays
    no more, for less, down to `lowest_cost`; None is never for less. With `max_load` other messages in hand it takes
    no task. `words` are those that a task has to have one of, in any case; with none of them it takes any.
    """

    bid: bool = True
    cost: float = 1.0
    cost_per_1k_characters: float = 0.0
    lowest_cost: float | None = None
    max_load: int = 100
    estimated_seconds: float | None = None
    quality: float | None = None
    words: tuple[str, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a proposal offers: the cost, how busy the agent is (0 idle, 1 full), and maybe seconds and quality."""

    cost: NotNegative
    load: Share = 0.0
    estimated_seconds: NotNegative | None = None
    quality: Share | None = None


class Bid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An offer as it was made: in which round, when, and the score it was given, 0 to 1, once bids were compared."""

    round: int
    at: float
    offer: Offer
    score: float | None = None


class TrackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the tasks that an agent was awarded before."""

    performed: int = 0
    failed: int = 0

    @property
    def success(self) -> float:
        """How likely it is to succeed: Laplace's rule of succession, so that one nobody knows is even odds."""
        return (self.performed + 1) / (self.performed + self.failed + 2)


class ScoringPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What counts for how much when bids are compared: weights, of which only the proportions matter."""

    cost: NotNegative = 4.0
    load: NotNegative = 3.0
    success: NotNegative = 3.0
    time: NotNegative = 0.0
    quality: NotNegative = 0.0

    def scores(self, bids: Mapping[str, Bid], records: Mapping[str, TrackRecord]) -> dict[str, float]:
        """A score from 0 to 1 for each agent's bid: the weighted mean of five marks, each from 0 to 1.

        The lowest cost has mark 1, and each other loses what it costs more in proportion to the highest; so with
        seconds. Load counts by what is free, success by the agent's record, quality as it was bid. Seconds or quality
        that were not bid have mark 0.
        """
        total = self.cost + self.load + self.success + self.time + self.quality
        if not bids or not total:
            return dict.fromkeys(bids, 0.0)
        offers = {agent: bid.offer for agent, bid in bids.items()}
        costs = _Scale([offer.cost for offer in offers.values()])
        seconds = _Scale([s for offer in offers.values() if (s := offer.estimated_seconds) is not None])
        unknown = TrackRecord()
        return {
            agent: (
                self.cost * costs.mark(offer.cost)
                + self.load * (1 - offer.load)
                + self.success * records.get(agent, unknown).success
                + self.time * (0.0 if offer.estimated_seconds is None else seconds.mark(offer.estimated_seconds))
                + self.quality * (offer.quality or 0.0)
            )
            / total
            for agent, offer in offers.items()
        }


class _Scale:
    """Marks for values of which less is better."""

    def __init__(self, values: list[float]) -> None:
        self._lowest = min(values, default=0.0)
        self._highest = max(values, default=0.0)

    def mark(self, value: float) -> float:
        # Divided first: the difference of two very large ones is as large, and their quotient is not.
        return 1 - (value / self._highest - self._lowest / self._highest) if self._highest else 1.0


def ranked(bids: Mapping[str, Bid]) -> list[str]:
    """The agents, the best scored first; equal ones by their load, then as they bid, then by name."""
    return sorted(bids, key=lambda agent: (-(bids[agent].score or 0.0), bids[agent].offer.load, bids[agent].at, agent))


def read_offer(content: Mapping[str, Any]) -> Offer:
    """What the content of a proposal offers; ValueError saying what is wrong with it."""
    known = {name: content[name] for name in Offer.__struct_fields__ if name in content}
    try:
        offer = msgspec.convert(known, Offer)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    numbers = (offer.cost, offer.load, offer.estimated_seconds or 0.0, offer.quality or 0.0)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"A bid has to be of finite numbers, not {known!r}")
    return offer


def read_bid(reply: Message, round: int) -> Bid:
    """The bid of a proposal; ValueError saying what is wrong with it."""
    return Bid(round=round, at=reply.created_at, offer=read_offer(reply.content))
