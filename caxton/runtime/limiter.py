"""Limits on the use of models: how many requests at once, how many a minute, how much a day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiolimiter import AsyncLimiter

from caxton.domain.completion import Usage
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.limits import ModelLimits
from caxton.domain.usage import UsageBy
from caxton.runtime.ledger import Ledger


class Limiter:
    """Holds one agent or provider within its limits. The budgets hang on the ledger, the rest on this object."""

    def __init__(self, by: UsageBy, name: str, limits: ModelLimits, ledger: Ledger) -> None:
        self.limits = limits
        self._by = by
        self._name = name
        self._ledger = ledger
        self._slots = asyncio.Semaphore(limits.concurrent) if limits.concurrent else None
        self._requests = AsyncLimiter(limits.requests_per_minute, 60) if limits.requests_per_minute else None
        self._tokens = AsyncLimiter(limits.tokens_per_minute, 60) if limits.tokens_per_minute else None
        self._owed = 0

    @asynccontextmanager
    async def admitted(self, tokens: int) -> AsyncIterator[None]:
        """Wait until a request with a prompt of so many tokens may go out, and count it as under way for the block.

        CaxtonError `budget_exhausted` where today's budget is spent.
        """
        self._check_budget()
        async with AsyncExitStack() as stack:
            if self._slots:
                await stack.enter_async_context(self._slots)
            if self._requests:
                await self._requests.acquire()
            if self._tokens:
                # What an answer takes is known only after it: the next request waits for that too.
                due, self._owed = tokens + self._owed, 0
                await self._tokens.acquire(min(due, self._tokens.max_rate))
            yield

    def used(self, estimate: int, usage: Usage | None) -> None:
        """Correct what was taken for a request by what it took."""
        if self._tokens and usage:
            self._owed += max(0, usage.prompt_tokens + usage.completion_tokens - estimate)

    def _check_budget(self) -> None:
        limits = self.limits
        if limits.daily_tokens is None and limits.daily_cost is None:
            return
        spent = self._ledger.spent(self._by, self._name)
        who = f"{self._by.value.capitalize()} {self._name!r}"
        if limits.daily_tokens is not None and spent.tokens >= limits.daily_tokens:
            raise CaxtonError(
                Code.BUDGET_EXHAUSTED,
                f"{who} has used {spent.tokens} tokens today; its budget is {limits.daily_tokens} a day.",
            )
        if limits.daily_cost is None:
            return
        if spent.cost >= limits.daily_cost:
            raise CaxtonError(
                Code.BUDGET_EXHAUSTED,
                f"{who} has spent {spent.cost:.4f} US dollars today; its budget is {limits.daily_cost:g} a day.",
            )
        if spent.newly_unpriced:
            raise CaxtonError(
                Code.BUDGET_EXHAUSTED,
                f"{who} has a budget of {limits.daily_cost:g} US dollars a day and has used a model of unknown price.",
                why=f"What {spent.newly_unpriced} completions cost today is not known, so the budget cannot be kept.",
                hint="Give the price: `[providers.NAME.price]` in caxton.toml, or use `daily_tokens` instead.",
            )
