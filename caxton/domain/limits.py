"""Bounds on the use of language models, for a provider or for an agent."""

import msgspec


class ModelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of models; None is no bound.

    `concurrent` counts requests at once; the rates are a minute. A request waits until these three let it pass. The
    daily budgets count from midnight UTC, in tokens and in US dollars; a request beyond one is refused.
    """

    concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    daily_tokens: int | None = None
    daily_cost: float | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model costs, in US dollars for a million tokens."""

    prompt: float
    completion: float
