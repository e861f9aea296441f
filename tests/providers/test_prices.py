from caxton.domain.completion import Usage
from caxton.domain.limits import Price
from caxton.domain.settings import ProviderSettings
from caxton.providers.prices import KnownPrices

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=500_000)


def cost(model: str = "gpt-4o-mini", **settings) -> float | None:
    prices = KnownPrices({"p": ProviderSettings(name="p", **{"kind": "openai", **settings})})
    return prices.cost(provider="p", model=model, usage=USAGE, at=1_790_000_000.0)


def test_the_settings_price_goes_before_all_others():
    assert cost(price=Price(prompt=2, completion=4)) == 4.0
    assert cost(kind="local", price=Price(prompt=2, completion=4)) == 4.0


def test_a_hosted_model_has_a_price_on_the_list():
    assert cost() > 0
    assert cost(base_url="https://api.openai.com/v1") == cost()


def test_tokens_of_one_s_own_machine_are_free():
    assert cost(kind="local", model="SmolLM2") == 0.0
    assert cost(kind="ollama", model="llama3") == 0.0


def test_what_is_not_on_the_list_has_no_price_rather_than_none_to_pay():
    assert cost("no-such-model") is None
    assert cost(base_url="http://127.0.0.1:9/v1") is None
    assert cost(kind="of-a-plugin") is None


def test_a_model_named_with_its_service_is_looked_up_there():
    assert cost("openai/gpt-4o-mini", kind="litellm") == cost()


def test_an_unconfigured_provider_has_no_price():
    assert KnownPrices({}).cost(provider="p", model="gpt-4o-mini", usage=USAGE, at=0) is None
