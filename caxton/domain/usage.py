"""What the use of language models came to."""

from enum import StrEnum

import msgspec


class ModelUse(msgspec.Struct, frozen=True, kw_only=True):
    """One completion as it is accounted for.

    `at` is in seconds since the epoch, UTC; `cost` in US dollars. None stands for what is not known, never for zero.
    """

    at: float
    agent: str
    conversation_id: str
    provider: str
    model: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None

    @property
    def tokens(self) -> int:
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


class UsageBy(StrEnum):
    """By what uses are summed up. A day is one of UTC, written 2026-11-21."""

    AGENT = "agent"
    CONVERSATION = "conversation"
    DAY = "day"
    MODEL = "model"
    PROVIDER = "provider"


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of one agent, conversation, day, model or provider, as `key` names it.

    `cost` is the sum of the known costs in US dollars; `unmetered` and `unpriced` count the completions whose tokens
    and whose cost are not known and so in no sum.
    """

    key: str
    completions: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    unmetered: int
    unpriced: int
