"""The OpenAI chat completions protocol, spoken by the official client.

Imported only in a thread, when first needed: the `openai` package takes a third of a second.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import msgspec
import openai

from caxton.domain.completion import CompletionRequest, ModelInfo
from caxton.domain.errors import Code, ProviderError
from caxton.providers.bounded import bound
from caxton.providers.chat_wire import ChatWire
from caxton.providers.openai_answer import Answer, Chunk, answer_from, chunk_from
from caxton.providers.openai_errors import provider_error
from caxton.providers.openai_request import messages_of, options_of

PATH = "/chat/completions"
"""Posted to by the client's own `post`: what its `create` adds, objects of pydantic for every piece of an answer, we do
not need, and it takes three quarters of the time."""
CONNECT_TIMEOUT = 10.0
"""Seconds to reach the endpoint, which is quick or not at all."""
KEPT = 2.0
"""Seconds for which a plain connection is kept for the next request; the small servers keep theirs for 5."""


class OpenAIWire(ChatWire):
    """Completions from one endpoint.

    `name` is the provider's, for errors; `timeout` is in seconds, for the whole. `defaults` are options of requests
    that do not choose themselves. A `direct` wire passes by the proxies that the environment names.
    """

    def __init__(
        self,
        *,
        name: str,
        key: str,
        timeout: float,
        base_url: str | None = None,
        model: str | None = None,
        defaults: dict[str, Any] | None = None,
        direct: bool = False,
    ) -> None:
        super().__init__(name=name, timeout=timeout, model=model)
        self._key = key
        self._defaults = defaults or {}
        # Hosted models have renamed this option; what speaks their protocol elsewhere knows the old name.
        self._max_tokens = "max_tokens" if base_url else "max_completion_tokens"
        # llama.cpp's server says that it keeps a connection, and closes it after each streamed answer: the next request
        # on it would fail. A connection of its own for each stream costs no handshake of TLS where there is none.
        self._plain = (base_url or "").startswith("http://")
        # The whole has a deadline of its own, the request's or ours: reading must not end before it.
        limits = httpx2.Timeout(None, connect=CONNECT_TIMEOUT)
        try:
            self.client = openai.AsyncOpenAI(
                api_key=key,
                base_url=base_url,
                timeout=limits,
                max_retries=0,
                default_headers={"Accept-Encoding": "identity"},
                http_client=openai.DefaultAsyncHttpxClient(
                    timeout=limits,
                    limits=httpx2.Limits(max_keepalive_connections=20, keepalive_expiry=KEPT if self._plain else 5.0),
                    event_hooks={"response": [bound]},
                    trust_env=not direct,
                ),
            )
            _check(self.client.base_url)
        except httpx2.InvalidURL as error:
            raise provider_error(name, error, key) from error

    async def models(self) -> list[ModelInfo]:
        try:
            async with asyncio.timeout(self._timeout):
                listed = (await self.client.models.list()).data
                return [ModelInfo(name=name) for name in sorted(msgspec.convert([one.id for one in listed], list[str]))]
        except TimeoutError:
            raise self._failure(self._too_slow(self._timeout)) from None
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else self._cause(error))

    async def _choose(self, request: CompletionRequest) -> str:
        """The model asked for, else the configured one, else the first that the endpoint lists."""
        if chosen := request.model or self._model:
            return chosen
        async for model in self.client.models.list():
            self._model = msgspec.convert(model.id, str)
            return self._model
        raise ProviderError(
            Code.PROVIDER_REJECTED,
            f"Provider {self._name!r} lists no model.",
            hint="Name one: `model` in the agent's `[llm]` or in the provider's settings.",
        )

    async def _ask(self, model: str, request: CompletionRequest) -> Answer:
        return answer_from(await self.client.post(PATH, body=self._body(model, request), cast_to=object))

    async def _open(self, model: str, request: CompletionRequest, opened: AsyncExitStack) -> AsyncIterator[Any]:
        body = {**self._body(model, request), "stream": True}
        try:
            stream = await self._stream({**body, "stream_options": {"include_usage": True}})
        except openai.BadRequestError as error:
            if "stream_options" not in str(error):
                raise
            # Some servers speak an older form of the protocol; usage then stays unknown.
            stream = await self._stream(body)
        return aiter(await opened.enter_async_context(stream))

    async def _stream(self, body: dict[str, Any]) -> openai.AsyncStream[object]:
        return await self.client.post(
            PATH,
            body=body,
            options={"headers": {"Connection": "close"}} if self._plain else {},
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    def _read(self, piece: Any) -> Chunk:
        return chunk_from(piece)

    def _meaning(self, error: Exception) -> ProviderError:
        return provider_error(self._name, error, self._key)

    def _cause(self, error: Exception) -> Exception | None:
        return None if isinstance(error, openai.OpenAIError | msgspec.ValidationError) else error

    async def _close(self) -> None:
        await self.client.close()

    def _body(self, model: str, request: CompletionRequest) -> dict[str, Any]:
        options = options_of(request, defaults=self._defaults, max_tokens=self._max_tokens)
        # What the protocol has no name for stands beside the rest.
        options |= options.pop("extra_body", {})
        return {"model": model, "messages": messages_of(request.messages), **options}


def _check(url: httpx2.URL) -> None:
    """Find what is no address before a request does, in words of its own."""
    if not url.host:
        raise httpx2.InvalidURL("It has no host.")
    if url.port is not None and not 0 < url.port < 65536:
        raise httpx2.InvalidURL(f"There is no port {url.port}.")
