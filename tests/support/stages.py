"""Every kind of provider on a stage of its own, for the contract suite.

The model of `local`, `server` and `litellm` is the real one that is installed with Caxton; `server` is llama.cpp's own
server, spoken to as to any other endpoint of the OpenAI protocol, and `litellm` speaks to another by the real library
of that name. `double` and `ollama` speak to HTTP doubles: no hosted service can be reached from here, and Ollama's
server is in none of the package registries.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from caxton.domain.completion import CompletionRequest
from caxton.domain.ports.provider import Provider
from caxton.domain.settings import ProviderSettings
from caxton.providers.litellm import LiteLLMProvider
from caxton.providers.litellm_wire import load_litellm
from caxton.providers.local import LocalProvider
from caxton.providers.local_process import ModelProcess, start_model
from caxton.providers.ollama import OllamaProvider
from caxton.providers.openai import OpenAIProvider
from caxton.testing import ollama_server
from caxton.testing.http_double import HttpDouble, stall
from caxton.testing.openai_server import open_openai_server, says
from caxton.testing.scripted import ScriptedProvider
from support.completions import asks

ALL = ["scripted", "local", "server", "litellm", "double", "ollama"]
REMOTE = ["server", "litellm", "double", "ollama"]
ABANDONING = ["scripted", "local", "double", "ollama"]
"""Who stops working on a whole answer when its caller goes; llama.cpp's server may not, and then answers no other."""


def asks_forever(**fields: Any) -> CompletionRequest:
    """A request whose answer takes a minute or more."""
    return asks("forever: write the whole novel, all forty chapters of it.", max_tokens=3500, **fields)


class Stage(SimpleNamespace):
    """One kind of provider: `provider` is shared by the tests, `another()` makes one for a test of its own."""

    provider: Provider
    another: Callable[[], Provider]

    async def begun(self) -> None:
        """Return once the long request that was just sent is being answered; the double has to be told how."""


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[Stage]:
    script = folder / "rules.toml"
    script.write_text('[[rules]]\nmatch = "^forever"\ndelay = 3600\n')
    settings = ProviderSettings(name="scripted", kind="scripted", script=script)
    yield Stage(another=lambda: ScriptedProvider(settings))


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[Stage]:
    settings = ProviderSettings(name="local", kind="local")
    yield Stage(another=lambda: LocalProvider(settings, environ={}, data_dir=folder))


def openai(url: str, key: str) -> OpenAIProvider:
    settings = ProviderSettings(name="openai", kind="openai", base_url=url, api_key_env="KEY")
    return OpenAIProvider(settings, environ={"KEY": key}, data_dir=Path())


@asynccontextmanager
async def peer(folder: Path) -> AsyncIterator[ModelProcess]:
    """llama.cpp's server with the installed model."""
    path = str(LocalProvider(ProviderSettings(name="x", kind="local"), environ={}, data_dir=folder)._path())
    # One more at a time than `local`: see ABANDONING.
    task = {"model_path": path, "model": "peer", "context_length": 4096, "parallel": 3, "threads": 1}
    process = await start_model(task, folder / "server.log")
    try:
        yield process
    finally:
        await process.stop()


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Stage]:
    async with peer(folder) as process:
        yield Stage(another=lambda: openai(f"{process.url}/v1", process.key))


@asynccontextmanager
async def litellm(folder: Path) -> AsyncIterator[Stage]:
    # Here it takes the time it takes, on a busy machine too; later it would take it from the first test's.
    load_litellm()
    async with peer(folder) as process:
        url = f"{process.url}/v1"
        settings = ProviderSettings(
            name="litellm", kind="litellm", model="openai/peer", base_url=url, api_key_env="KEY"
        )
        yield Stage(another=lambda: LiteLLMProvider(settings, environ={"KEY": process.key}, data_dir=folder))


def begins(endpoint: HttpDouble) -> Callable[[], Any]:
    async def begun() -> None:
        await endpoint.stalled.wait()
        endpoint.stalled.clear()

    return begun


@asynccontextmanager
async def double(folder: Path) -> AsyncIterator[Stage]:
    async def scene(exchange: Any) -> None:
        last = exchange.asked.body["messages"][-1]["content"] if exchange.asked.body else ""
        await (stall if last.startswith("forever") else says(f"echo: {last}"))(exchange)

    async with open_openai_server(scene) as endpoint:
        yield Stage(another=lambda: openai(endpoint.url, "key"), begun=begins(endpoint), endpoint=endpoint)


@asynccontextmanager
async def ollama(folder: Path) -> AsyncIterator[Stage]:
    async def scene(exchange: Any) -> None:
        last = exchange.asked.body["messages"][-1]["content"]
        await (stall if last.startswith("forever") else ollama_server.says(f"echo: {last}"))(exchange)

    async with ollama_server.open_ollama_server(scene) as endpoint:
        settings = ProviderSettings(name="ollama", kind="ollama", base_url=endpoint.url)
        yield Stage(
            another=lambda: OllamaProvider(settings, environ={}, data_dir=folder),
            begun=begins(endpoint),
            endpoint=endpoint,
        )


STAGES = {
    "scripted": scripted,
    "local": local,
    "server": server,
    "litellm": litellm,
    "double": double,
    "ollama": ollama,
}
