"""The ledger: what models were used for today, and the budgets that hang on it."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from caxton.domain.completion import Usage
from caxton.domain.errors import CaxtonError
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.usage import Prices, UsageStore
from caxton.domain.usage import ModelUse, UsageBy

log = logging.getLogger(__name__)

DAY = 86_400
"""Seconds; days are those of UTC."""
GATHERING = 0.05
"""Seconds in which uses come together to be priced and stored at once. Each for itself would wake a thread and wait for
the disk, which costs more than all else that is done for a request."""
AGAIN = 1.0
"""Seconds until what could not be stored is tried again."""


class Spent(msgspec.Struct):
    """What came together today. `cost` is in US dollars, of the completions whose cost is known.

    `unpriced` counts the others, `newly_unpriced` those among them since the server started: whoever was refused for
    one before has given the price since.
    """

    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    newly_unpriced: int = 0


class Ledger:
    """Takes down every use; made by `open_ledger`."""

    def __init__(self, store: UsageStore, prices: Prices, clock: Clock) -> None:
        self._store = store
        self._prices = prices
        self._clock = clock
        self._day = 0
        self._spent: defaultdict[tuple[UsageBy, str], Spent] = defaultdict(Spent)
        self._noted: list[ModelUse] = []
        self._priced: list[ModelUse] = []
        self._some = asyncio.Event()

    def spent(self, by: UsageBy, name: str) -> Spent:
        """What the agent or provider of that name spent since midnight UTC."""
        self._turn_over()
        return self._spent[by, name]

    def note(self, use: ModelUse) -> None:
        """Take down a use, without its cost. It is priced and stored with others, soon after."""
        self._turn_over()
        for key in _accounts(use):
            self._spent[key].tokens += use.tokens
        self._noted.append(use)
        self._some.set()

    async def load(self) -> None:
        """Go on with what was stored since midnight."""
        self._turn_over()
        for by in (UsageBy.AGENT, UsageBy.PROVIDER):
            for total in await self._store.sums(by, since=self._day * DAY):
                self._spent[by, total.key] = Spent(
                    tokens=total.prompt_tokens + total.completion_tokens, cost=total.cost, unpriced=total.unpriced
                )

    async def keep(self) -> None:
        """Price and store what is noted, until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHERING)
            try:
                await self.flush()
            except CaxtonError as error:
                log.error("the use of models could not be stored and is kept in memory: %s", error)
                await asyncio.sleep(AGAIN)

    async def flush(self) -> None:
        """Price and store all that is noted; what cannot be stored is kept for the next time."""
        self._some.clear()
        noted, self._noted = self._noted, []
        # In a thread: the list of prices is read when first needed, and that takes its time.
        self._priced += await asyncio.to_thread(lambda: [self._with_cost(use) for use in noted])
        for use in self._priced[-len(noted) :] if noted else ():
            self._charge(use)
        storing = [*self._priced]
        try:
            await self._store.record(storing)
        except CaxtonError:
            self._some.set()
            raise
        del self._priced[: len(storing)]

    def _charge(self, use: ModelUse) -> None:
        if use.at < self._day * DAY:
            return
        for key in _accounts(use):
            spent = self._spent[key]
            spent.cost += use.cost or 0.0
            spent.unpriced += use.cost is None
            spent.newly_unpriced += use.cost is None

    def _turn_over(self) -> None:
        day = int(self._clock.now() // DAY)
        if day != self._day:
            self._day = day
            self._spent.clear()

    def _with_cost(self, use: ModelUse) -> ModelUse:
        if use.cost is not None or use.prompt_tokens is None or use.completion_tokens is None:
            return use
        usage = Usage(prompt_tokens=use.prompt_tokens, completion_tokens=use.completion_tokens)
        cost = self._prices.cost(provider=use.provider, model=use.model, usage=usage, at=use.at)
        return msgspec.structs.replace(use, cost=cost)


@asynccontextmanager
async def open_ledger(*, store: UsageStore, prices: Prices, clock: Clock) -> AsyncIterator[Ledger]:
    """A ledger that stores what it is told, until the end of the block, when it stores the rest."""
    ledger = Ledger(store, prices, clock)
    await ledger.load()
    keeping = asyncio.create_task(ledger.keep(), name="usage ledger")
    try:
        yield ledger
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        try:
            await ledger.flush()
        except CaxtonError as error:
            log.error("the last uses of models could not be stored: %s", error)


def _accounts(use: ModelUse) -> tuple[tuple[UsageBy, str], tuple[UsageBy, str]]:
    return (UsageBy.AGENT, use.agent), (UsageBy.PROVIDER, use.provider)
