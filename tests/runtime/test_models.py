"""What is the same for every provider: retries, breaker, limits, budgets, accounting."""

import asyncio

import msgspec
import pytest

from caxton.domain.completion import (
    ChatMessage,
    Completion,
    CompletionRequest,
    Delta,
    Image,
    ModelInfo,
    ResponseSchema,
    Role,
    ToolSpec,
    Usage,
)
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.limits import ModelLimits, Price
from caxton.domain.settings import ProviderSettings
from caxton.domain.usage import UsageBy
from caxton.providers.prices import KnownPrices
from caxton.runtime.circuits import CircuitState
from caxton.runtime.ledger import Ledger, open_ledger
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.testing.clock import FakeClock
from caxton.testing.memory import MemoryUsageStore

DEADLINE = 5.0
USAGE = Usage(prompt_tokens=30, completion_tokens=12)
DAY = 86_400


class Plays:
    """A provider that plays outcomes one after the other: errors, texts, and then the last for ever."""

    def __init__(self, *outcomes: str | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        self.info = ModelInfo(name="plays")

    async def complete(self, request: CompletionRequest) -> Completion:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            if self.hold:
                await self.hold.wait()
            outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            if isinstance(outcome, Exception):
                raise outcome
            return Completion(text=outcome, model="plays", usage=USAGE)
        finally:
            self.at_once -= 1

    async def stream(self, request: CompletionRequest):
        completion = await self.complete(request)
        for word in completion.text.split(" "):
            if word == "BREAK":
                raise down()
            yield Delta(word)
        yield completion

    def describe(self, model: str | None) -> ModelInfo:
        return self.info


class Only:
    default = "plays"

    def __init__(self, provider: Plays) -> None:
        self._provider = provider

    def names(self):
        return ["plays"]

    def get(self, name):
        return self._provider

    def warm(self, name):
        pass

    def health(self):
        return []


def down(**fields) -> ProviderError:
    return ProviderError(Code.PROVIDER_UNAVAILABLE, "It is down.", **fields)


def call(agent: str = "helper", limits: ModelLimits = ModelLimits(), **request) -> ModelCall:  # noqa: B008
    asked = CompletionRequest(messages=(ChatMessage(Role.USER, "hello"),), **request)
    return ModelCall(provider="plays", request=asked, prompt_tokens=30, agent=agent, conversation_id="c", limits=limits)


class House:
    def __init__(self, *outcomes: str | Exception, **settings) -> None:
        self.clock = FakeClock()
        self.store = MemoryUsageStore()
        self.provider = Plays(*outcomes)
        self.settings = {"plays": ProviderSettings(name="plays", kind="plays", **settings)}
        self.ledger = Ledger(self.store, KnownPrices(self.settings), self.clock)
        self.models = LanguageModels(
            providers=Only(self.provider), settings=self.settings, ledger=self.ledger, clock=self.clock, backoff=0.0
        )

    async def ask(self, asked: ModelCall | None = None, on_text=None) -> Completion:
        async with asyncio.timeout(DEADLINE):
            return await self.models.ask(asked or call(), on_text)

    async def fails(self, asked: ModelCall | None = None, on_text=None) -> CaxtonError:
        with pytest.raises(CaxtonError) as caught:
            await self.ask(asked, on_text)
        return caught.value


@pytest.mark.parametrize(
    "code",
    [Code.PROVIDER_UNAVAILABLE, Code.PROVIDER_TIMEOUT, Code.PROVIDER_RATE_LIMITED, Code.PROVIDER_MALFORMED],
)
async def test_what_fails_for_a_while_only_is_tried_again(code):
    house = House(ProviderError(code, "Not now."), ProviderError(code, "Not now."), "at last")
    assert (await house.ask()).text == "at last"
    assert house.provider.asked == 3


async def test_the_last_try_s_error_is_the_one_that_is_told():
    house = House(down(), down(), ProviderError(Code.PROVIDER_TIMEOUT, "Too slow."))
    assert (await house.fails()).code is Code.PROVIDER_TIMEOUT
    assert house.provider.asked == 3


@pytest.mark.parametrize(
    "code",
    [Code.PROVIDER_AUTHENTICATION, Code.PROVIDER_QUOTA, Code.PROVIDER_REFUSED, Code.PROVIDER_REJECTED],
)
async def test_what_would_fail_again_is_asked_once(code):
    house = House(ProviderError(code, "Never."), "too late")
    assert (await house.fails()).code is code
    assert house.provider.asked == 1


async def test_no_retries_means_one_try():
    house = House(down(), "too late", retries=0)
    await house.fails()
    assert house.provider.asked == 1


async def test_a_provider_that_asks_for_a_short_wait_gets_it():
    house = House(down(retry_after=0.0), "there")
    assert (await house.ask()).text == "there"


async def test_a_provider_that_asks_for_a_long_wait_is_not_waited_for():
    house = House(ProviderError(Code.PROVIDER_RATE_LIMITED, "Later.", retry_after=3600), "too late")
    assert (await house.fails()).retry_after == 3600
    assert house.provider.asked == 1


async def test_pieces_are_handed_over_as_they_come():
    house, pieces = House("one two three"), []
    assert (await house.ask(on_text=pieces.append)).text == "one two three"
    assert pieces == ["one", "two", "three"]


async def test_a_stream_that_breaks_before_its_first_piece_is_tried_again():
    house, pieces = House("BREAK", "one two"), []
    await house.ask(on_text=pieces.append)
    assert pieces == ["one", "two"]


async def test_a_stream_that_breaks_after_a_piece_was_handed_over_is_not_tried_again():
    house, pieces = House("one BREAK", "one two"), []
    assert (await house.fails(on_text=pieces.append)).code is Code.PROVIDER_UNAVAILABLE
    assert pieces == ["one"]
    assert house.provider.asked == 1


async def test_a_provider_that_keeps_failing_is_left_alone():
    house = House(down(), retries=0, breaker_failures=3, breaker_pause=60)
    for _ in range(3):
        assert (await house.fails()).code is Code.PROVIDER_UNAVAILABLE
    assert house.models.circuit("plays").state is CircuitState.OPEN
    error = await house.fails()
    assert error.code is Code.PROVIDER_PAUSED
    assert 0 < error.retry_after <= 60
    assert house.provider.asked == 3


async def test_after_the_pause_one_success_closes_the_circuit():
    house = House(down(), down(), "well again", retries=0, breaker_failures=2, breaker_pause=0.01)
    await house.fails()
    await house.fails()
    async with asyncio.timeout(DEADLINE):
        while house.models.circuit("plays").state is CircuitState.OPEN:
            await asyncio.sleep(0)
    assert (await house.ask()).text == "well again"
    assert house.models.circuit("plays").state is CircuitState.CLOSED


async def test_a_reset_closes_the_circuit():
    house = House(down(), "well again", retries=0, breaker_failures=1, breaker_pause=60)
    await house.fails()
    house.models.circuit("plays").reset()
    assert (await house.ask()).text == "well again"


async def test_an_answer_that_is_an_error_speaks_for_the_endpoint():
    wrong = ProviderError(Code.PROVIDER_REJECTED, "Wrong.")
    house = House(down(), wrong, down(), wrong, retries=0, breaker_failures=2)
    for _ in range(6):
        await house.fails()
    assert house.models.circuit("plays").state is CircuitState.CLOSED


async def test_a_spent_budget_says_nothing_of_the_endpoint():
    house = House("ok", down(), retries=0, breaker_failures=3)
    limits = ModelLimits(daily_tokens=10)
    await house.ask(call(limits=limits))
    await house.fails(call("other"))
    assert (await house.fails(call(limits=limits))).code is Code.BUDGET_EXHAUSTED
    assert house.models.circuit("plays").failures == 1


async def test_a_request_that_is_cancelled_says_nothing_of_the_endpoint():
    house = House(down(), retries=0, breaker_failures=2)
    await house.fails()
    house.provider.hold = asyncio.Event()
    task = asyncio.create_task(house.ask())
    while not house.provider.at_once:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert house.models.circuit("plays").failures == 1


@pytest.mark.parametrize("whose", ["agent", "provider"])
async def test_no_more_requests_at_once_than_allowed(whose):
    limits = ModelLimits(concurrent=2)
    house = House("ok", **({"limits": limits} if whose == "provider" else {}))
    house.provider.hold = asyncio.Event()
    asked = call(limits=limits) if whose == "agent" else call()
    tasks = [asyncio.create_task(house.ask(asked)) for _ in range(6)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.provider.at_once == 2
    house.provider.hold.set()
    await asyncio.gather(*tasks)
    assert house.provider.most_at_once == 2
    assert house.provider.asked == 6


async def test_requests_beyond_the_minute_s_number_wait():
    house = House("ok", limits=ModelLimits(requests_per_minute=2))
    await house.ask()
    await house.ask()
    third = asyncio.create_task(house.ask())
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.provider.asked == 2
    third.cancel()
    await asyncio.gather(third, return_exceptions=True)


async def test_tokens_beyond_the_minute_s_number_wait_and_answers_count():
    house = House("ok", limits=ModelLimits(tokens_per_minute=70))
    await house.ask()  # 30 for the prompt, and 12 that the next request pays for
    second = asyncio.create_task(house.ask())
    for _ in range(50):
        await asyncio.sleep(0)
    assert house.provider.asked == 1
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


@pytest.mark.parametrize("whose", ["agent", "provider"])
async def test_a_day_s_budget_of_tokens_is_kept_and_renewed_at_midnight(whose):
    limits = ModelLimits(daily_tokens=50)
    house = House("ok", **({"limits": limits} if whose == "provider" else {}))
    asked = call(limits=limits) if whose == "agent" else call()
    await house.ask(asked)
    await house.ask(asked)
    error = await house.fails(asked)
    assert error.code is Code.BUDGET_EXHAUSTED
    assert "84 tokens" in error.message
    await house.clock.advance(DAY)
    await house.ask(asked)


async def test_one_agent_s_budget_is_not_another_s():
    house = House("ok")
    limits = ModelLimits(daily_tokens=10)
    await house.ask(call("first", limits))
    assert (await house.fails(call("first", limits))).code is Code.BUDGET_EXHAUSTED
    await house.ask(call("second", limits))


async def test_a_day_s_budget_of_money_is_kept():
    house = House("ok", price=Price(prompt=1000, completion=1000), limits=ModelLimits(daily_cost=0.05))
    await house.ask()
    await house.ledger.flush()
    assert house.ledger.spent(UsageBy.PROVIDER, "plays").cost == pytest.approx(0.042)
    await house.ask()
    await house.ledger.flush()
    assert "0.0840 US dollars" in (await house.fails()).message


async def test_a_budget_of_money_refuses_what_has_no_known_price():
    house = House("ok", limits=ModelLimits(daily_cost=5))
    await house.ask()
    await house.ledger.flush()
    error = await house.fails()
    assert error.code is Code.BUDGET_EXHAUSTED
    assert "price" in error.hint


async def test_every_completion_is_taken_down():
    house = House("ok")
    await house.ask(call("first"))
    await house.ask(call("second"))
    await house.ledger.flush()
    assert [(use.agent, use.tokens, use.cost) for use in house.store.uses] == [
        ("first", 42, None),
        ("second", 42, None),
    ]


async def test_the_budget_goes_on_after_a_restart():
    house = House("ok")
    limits = ModelLimits(daily_tokens=40)
    async with open_ledger(store=house.store, prices=KnownPrices({}), clock=house.clock) as ledger:
        house.models._ledger = ledger
        await house.ask(call(limits=limits))
    async with open_ledger(store=house.store, prices=KnownPrices({}), clock=house.clock) as ledger:
        assert ledger.spent(UsageBy.AGENT, "helper").tokens == 42


async def test_a_store_that_fails_loses_no_use_and_charges_none_twice():
    house = House("ok", price=Price(prompt=1, completion=1))
    record, broken = house.store.record, True

    async def moody(uses):
        if broken:
            raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")
        await record(uses)

    house.store.record = moody
    await house.ask()
    for _ in range(2):
        with pytest.raises(CaxtonError):
            await house.ledger.flush()
    broken = False
    await house.ask()
    await house.ledger.flush()
    assert len(house.store.uses) == 2
    assert house.ledger.spent(UsageBy.AGENT, "helper").cost == pytest.approx(2 * 42 / 1_000_000)


TOOL = ToolSpec(name="t", description="", parameters={"type": "object"})
IMAGE = Image(media_type="image/png", data=b"png")


@pytest.mark.parametrize(
    ("capability", "request_fields"),
    [
        ("tools", {"tools": (TOOL,)}),
        ("json_schema", {"response_schema": ResponseSchema(schema={})}),
        ("vision", {"images": (IMAGE,)}),
    ],
)
async def test_what_the_model_is_known_to_lack_is_refused_and_what_is_unknown_is_tried(capability, request_fields):
    asked = call(**{key: value for key, value in request_fields.items() if key != "images"})
    if images := request_fields.get("images"):
        messages = (ChatMessage(Role.USER, "look", images),)
        asked = msgspec.structs.replace(asked, request=msgspec.structs.replace(asked.request, messages=messages))
    house = House("ok")
    house.provider.info = ModelInfo(name="plays", **{capability: False})
    assert (await house.fails(asked)).code is Code.MODEL_INCAPABLE
    assert house.provider.asked == 0
    house.provider.info = ModelInfo(name="plays")
    await house.ask(asked)


async def test_a_price_that_is_given_later_lets_the_budget_go_on_after_a_restart():
    house = House("ok", limits=ModelLimits(daily_cost=5))
    await house.ask()
    await house.ledger.flush()
    assert (await house.fails()).code is Code.BUDGET_EXHAUSTED
    prices = KnownPrices({"plays": ProviderSettings(name="plays", kind="plays", price=Price(prompt=1, completion=1))})
    async with open_ledger(store=house.store, prices=prices, clock=house.clock) as ledger:
        house.models = LanguageModels(
            providers=Only(house.provider), settings=house.settings, ledger=ledger, clock=house.clock, backoff=0.0
        )
        await house.ask()
        await ledger.flush()
        await house.ask()
