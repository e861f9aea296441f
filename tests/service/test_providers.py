"""The operations on providers."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from caxton.domain.completion import Completion, Delta, ModelInfo, PullProgress, Usage
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.limits import Price
from caxton.domain.settings import ProviderSettings, ServerSettings
from caxton.domain.usage import ModelUse, UsageBy
from caxton.providers.prices import KnownPrices
from caxton.runtime.circuits import CircuitState
from caxton.runtime.ledger import Ledger
from caxton.runtime.models import LanguageModels
from caxton.service.api.providers import Pulled, PullModel
from caxton.service.providers import ProviderService
from caxton.testing.clock import FakeClock
from caxton.testing.memory import MemoryUsageStore

DAY = 86_400
DOWN = ProviderError(Code.PROVIDER_UNAVAILABLE, "It is down.")


class Plain:
    """A provider that can do nothing but answer."""

    error: Exception | None = None

    async def complete(self, request):
        if self.error:
            raise self.error
        return Completion(text="hello", model="plain", usage=Usage(prompt_tokens=3, completion_tokens=1))


class Able(Plain):
    async def stream(self, request):
        yield Delta("hello")
        yield await self.complete(request)

    def describe(self, model):
        return ModelInfo(name=model or "able", tools=True)

    async def models(self):
        return [ModelInfo(name="able"), ModelInfo(name="other")]

    async def pull(self, model) -> AsyncIterator[PullProgress]:
        yield PullProgress(status="fetching", completed=5, total=10)
        if self.error:
            raise self.error
        yield PullProgress(status="fetching", completed=10, total=10)


class Two:
    default = "plain"

    def __init__(self) -> None:
        self.made = {"plain": Plain(), "able": Able()}

    def names(self):
        return list(self.made)

    def get(self, name):
        if name not in self.made:
            raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider {name!r}.")
        return self.made[name]

    def warm(self, name):
        pass

    def health(self):
        return []


@pytest.fixture
def stage(tmp_path) -> SimpleNamespace:
    configured = {
        "plain": ProviderSettings(name="plain", kind="x", api_key_env="THE_KEY"),
        "able": ProviderSettings(name="able", kind="x", price=Price(prompt=1_000_000, completion=0)),
    }
    settings = ServerSettings(data_dir=tmp_path, agents_dir=tmp_path, providers=configured)
    clock, store, providers = FakeClock(), MemoryUsageStore(), Two()
    ledger = Ledger(store, KnownPrices(configured), clock)
    models = LanguageModels(providers=providers, settings=configured, ledger=ledger, clock=clock, backoff=0.0)
    service = ProviderService(
        settings=settings, providers=providers, models=models, ledger=ledger, usage=store, clock=clock
    )
    return SimpleNamespace(service=service, providers=providers, models=models, ledger=ledger, clock=clock)


def use(clock: FakeClock, **fields) -> ModelUse:
    given = {"agent": "a", "conversation_id": "c", "provider": "able", "model": "m", "prompt_tokens": 2}
    return ModelUse(at=clock.now(), **{**given, "completion_tokens": 1, **fields})


async def test_the_list_shows_each_provider_with_what_is_known_of_it(stage):
    able, plain = (await stage.service.list()).providers
    assert (able.name, able.default, able.model.tools, able.key) == ("able", False, True, "")
    assert (plain.name, plain.default, plain.model.tools) == ("plain", True, None)
    assert plain.key == "environment variable THE_KEY"


async def test_one_that_is_not_there_is_an_error(stage):
    for call in (stage.service.show, stage.service.check, stage.service.models, stage.service.reset):
        with pytest.raises(CaxtonError) as caught:
            await call(name="gone")
        assert caught.value.code is Code.PROVIDER_UNKNOWN


async def test_a_check_times_the_first_token_where_there_is_one(stage):
    assert (await stage.service.check(name="plain")).first_token is None
    checked = await stage.service.check(name="able")
    assert 0 <= checked.first_token <= checked.duration
    assert checked.text == "hello"


async def test_a_check_that_fails_says_why_and_speaks_against_the_provider(stage):
    stage.providers.made["able"].error = DOWN
    with pytest.raises(ProviderError):
        await stage.service.check(name="able")
    assert (await stage.service.show(name="able")).circuit.failures == 1


async def test_a_check_goes_past_an_open_circuit_and_closes_it(stage):
    circuit = stage.models.circuit("able")
    for _ in range(5):
        circuit.tell(DOWN)
    assert circuit.state is CircuitState.OPEN
    await stage.service.check(name="able")
    assert circuit.state is CircuitState.CLOSED


async def test_a_reset_closes_the_circuit(stage):
    for _ in range(5):
        stage.models.circuit("able").tell(DOWN)
    assert (await stage.service.show(name="able")).circuit.state == "open"
    assert (await stage.service.reset(name="able")).circuit.state == "closed"


async def test_models_are_listed_where_the_provider_can(stage):
    assert [model.name for model in (await stage.service.models(name="able")).models] == ["able", "other"]
    with pytest.raises(CaxtonError) as caught:
        await stage.service.models(name="plain")
    assert caught.value.code is Code.NOT_SUPPORTED


async def test_a_pull_tells_how_far_it_is_and_ends_with_the_model(stage):
    events = [event async for event in stage.service.stream(name="able", body=PullModel(model="m"))]
    assert [event.completed for event in events[:-1]] == [5, 10]
    assert isinstance(events[-1], Pulled)
    assert (await stage.service.pull(name="able", body=PullModel(model="m"))).model == "m"


async def test_a_pull_that_fails_ends_with_its_error(stage):
    stage.providers.made["able"].error = DOWN
    with pytest.raises(ProviderError):
        await stage.service.pull(name="able", body=PullModel(model="m"))
    with pytest.raises(CaxtonError) as caught:
        await stage.service.pull(name="plain", body=PullModel(model="m"))
    assert caught.value.code is Code.NOT_SUPPORTED


async def test_usage_is_summed_up_with_what_was_noted_just_now(stage):
    stage.ledger.note(use(stage.clock))
    stage.ledger.note(use(stage.clock, provider="plain", agent="b"))
    report = await stage.service.usage(by=UsageBy.AGENT)
    assert [(one.key, one.cost, one.unpriced) for one in report.sums] == [("a", 2.0, 0), ("b", 0.0, 1)]
    assert (report.total.completions, report.total.prompt_tokens, report.total.cost) == (2, 4, 2.0)


async def test_usage_goes_back_as_many_days_as_asked(stage):
    stage.ledger.note(use(stage.clock))
    await stage.clock.advance(DAY)
    stage.ledger.note(use(stage.clock))
    assert (await stage.service.usage(days=1)).total.completions == 1
    assert (await stage.service.usage(days=2)).total.completions == 2
