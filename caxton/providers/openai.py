"""OpenAI, and whatever else speaks its protocol: Ollama, LocalAI, vLLM, llama.cpp's server, hosted services."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from caxton.domain.completion import Completion, CompletionRequest, Delta, ModelInfo
from caxton.domain.errors import Code, ProviderError
from caxton.domain.settings import ProviderSettings
from caxton.providers.lazy_wire import Wire, open_wire

DEFAULT_MODEL = "gpt-4o-mini"
"""What OpenAI itself is asked for where neither agent nor settings name a model."""
KEYLESS = "no-key-is-needed"
"""Sent as the key to endpoints that need none; the client insists on sending something."""


class OpenAIProvider:
    """Implements Provider, Streams, DescribesModels and Closes."""

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        self._settings = settings
        self._environ = environ
        self._wire: asyncio.Task[Wire] | None = None

    async def complete(self, request: CompletionRequest) -> Completion:
        return await (await self._connected()).complete(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        wire = await self._connected()
        async with aclosing(wire.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    def describe(self, model: str | None) -> ModelInfo:
        name = model or self._settings.model or ("" if self._settings.base_url else DEFAULT_MODEL)
        return ModelInfo(name=name, context_length=self._settings.context_length)

    async def aclose(self) -> None:
        if self._wire is None:
            return
        await asyncio.wait([self._wire])
        if not self._wire.exception():
            await self._wire.result().aclose()

    async def _connected(self) -> Wire:
        if self._wire is None:
            settings = self._settings
            self._wire = asyncio.create_task(
                open_wire(
                    name=settings.name,
                    key=self._key(),
                    timeout=settings.timeout,
                    base_url=settings.base_url,
                    model=settings.model or (None if settings.base_url else DEFAULT_MODEL),
                )
            )
        # Shielded: whoever stops waiting must not take the client from those who wait too.
        return await asyncio.shield(self._wire)

    def _key(self) -> str:
        variable = self._settings.api_key_env
        if variable is None:
            if self._settings.base_url:
                return KEYLESS
            variable = "OPENAI_API_KEY"
        # Read from a file, keys often come with a line break; a header cannot hold it.
        key = self._environ.get(variable, "").strip()
        if key and key.isascii() and key.isprintable():
            return key
        fault = "has characters that no key has" if key else "is not set"
        raise ProviderError(
            Code.PROVIDER_AUTHENTICATION,
            f"Provider {self._settings.name!r} needs a key, and the environment variable {variable} {fault}.",
            hint=f"Set it where the server starts: `export {variable}=…`, then `caxton server restart`.",
        )
