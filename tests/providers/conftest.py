"""A provider of kind `openai` and the endpoint that it speaks to, which does what a test says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from caxton.domain.settings import ProviderSettings
from caxton.providers.openai import OpenAIProvider
from caxton.testing.openai_server import OpenAIServer, open_openai_server

KEY = "sk-Planted0Key1That2Nobody3May4See"


@pytest.fixture
def key() -> str:
    """What must never be seen outside the request's header."""
    return KEY


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAIServer]:
    async with open_openai_server() as endpoint:
        yield endpoint


@pytest.fixture
async def made() -> AsyncIterator:
    """Makes providers for a URL, closed at the end of the test."""
    providers: list[OpenAIProvider] = []

    def make(url: str | None, **settings) -> OpenAIProvider:
        fields = {"model": "m", "api_key_env": "KEY", "timeout": 20.0, **settings}
        provider = OpenAIProvider(
            ProviderSettings(name="remote", kind="openai", base_url=url, **fields),
            environ={"KEY": KEY},
            data_dir=Path(),
        )
        providers.append(provider)
        return provider

    yield make
    for provider in providers:
        await provider.aclose()


@pytest.fixture
def provider(made, endpoint: OpenAIServer) -> OpenAIProvider:
    return made(endpoint.url)
