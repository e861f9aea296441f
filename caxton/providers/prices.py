"""What models cost: by the settings, where they say, else by the `genai-prices` package.

Prices change and lists lag behind: what comes out is an estimate, and None wherever a model is not on the list.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from caxton.domain.completion import Usage
from caxton.domain.settings import ProviderSettings

FREE = ("local", "ollama")
"""Kinds that run on machines of one's own: their tokens cost nothing unless the settings give a price."""
MILLION = 1_000_000


class KnownPrices:
    """Implements `ports.usage.Prices` for the configured providers."""

    def __init__(self, providers: Mapping[str, ProviderSettings]) -> None:
        self._providers = providers

    def cost(self, *, provider: str, model: str, usage: Usage, at: float) -> float | None:
        settings = self._providers.get(provider)
        if settings is None:
            return None
        if price := settings.price:
            return (price.prompt * usage.prompt_tokens + price.completion * usage.completion_tokens) / MILLION
        if settings.kind in FREE:
            return 0.0
        return self._listed(settings, model, usage, at)

    def _listed(self, settings: ProviderSettings, model: str, usage: Usage, at: float) -> float | None:
        import genai_prices  # a tenth of a second, which only those pay who pay

        service, _, named = model.rpartition("/")
        tokens = genai_prices.Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
        when = datetime.fromtimestamp(at, UTC)
        try:
            if settings.base_url and not service:
                price = genai_prices.calc_price(
                    tokens, named, provider_api_url=settings.base_url, genai_request_timestamp=when
                )
            else:
                price = genai_prices.calc_price(
                    tokens, named, provider_id=service or settings.kind, genai_request_timestamp=when
                )
        except LookupError:
            return None
        return float(price.total_price)
