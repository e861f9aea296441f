"""The OpenAI chat completions protocol, spoken by the official client.

Imported only in a thread, when first needed: the `openai` package takes a third of a second.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk

from caxton.domain.completion import Completion, CompletionRequest, Delta, FinishReason
from caxton.domain.errors import Code, ProviderError
from caxton.providers.bounded import bound
from caxton.providers.openai_answer import answer_from, chunk_from, finish_from, usage_from
from caxton.providers.openai_errors import provider_error

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the endpoint, which is quick or not at all."""

CHAT_OPTIONS = ("temperature", "top_p", "seed")


class OpenAIWire:
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
        self._name = name
        self._key = key
        self._timeout = timeout
        self._model = model
        self._defaults = defaults or {}
        # Hosted models have renamed this option; what speaks their protocol elsewhere knows the old name.
        self._max_tokens = "max_tokens" if base_url else "max_completion_tokens"
        limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
        try:
            self.client = openai.AsyncOpenAI(
                api_key=key,
                base_url=base_url,
                timeout=limits,
                max_retries=0,
                default_headers={"Accept-Encoding": "identity"},
                http_client=openai.DefaultAsyncHttpxClient(
                    timeout=limits, event_hooks={"response": [bound]}, trust_env=not direct
                ),
            )
            _check(self.client.base_url)
        except httpx2.InvalidURL as error:
            raise provider_error(name, error, key) from error

    async def complete(self, request: CompletionRequest) -> Completion:
        limit = request.timeout or self._timeout
        try:
            async with asyncio.timeout(limit):
                model = await self._choose(request.model)
                answer = answer_from(
                    await self.client.chat.completions.create(
                        model=model, messages=_messages(request), **self._options(request)
                    )
                )
        except TimeoutError:
            raise self._too_slow(limit) from None
        except Exception as error:
            raise provider_error(self._name, error, self._key) from error
        choice = answer.choices[0]
        finish = finish_from(choice.finish_reason)
        text = choice.message.content or ""
        if not text:
            self._check_refusal(choice.message.refusal, finish)
        return Completion(
            text=text, model=_model(answer.model, model), finish_reason=finish, usage=usage_from(answer.usage)
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        limit = request.timeout or self._timeout
        deadline = asyncio.get_running_loop().time() + limit
        text: list[str] = []
        refusal: list[str] = []
        reason, usage, model = None, None, ""
        try:
            async with asyncio.timeout_at(deadline):
                model = await self._choose(request.model)
                chunks = await self._open(model, request)
            async with chunks:
                pieces = aiter(chunks)
                while True:
                    # The deadline holds for each wait rather than around the yield: between pieces the time is the
                    # consumer's, and a timeout may not strike it there.
                    async with asyncio.timeout_at(deadline):
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    chunk = chunk_from(piece)
                    model = _model(chunk.model, model)
                    usage = usage_from(chunk.usage) or usage
                    for choice in chunk.choices or ():
                        reason = choice.finish_reason or reason
                        if choice.delta and choice.delta.refusal:
                            refusal.append(choice.delta.refusal)
                        if choice.delta and choice.delta.content:
                            text.append(choice.delta.content)
                            yield Delta(choice.delta.content)
        except TimeoutError:
            raise self._too_slow(limit) from None
        except Exception as error:
            raise provider_error(self._name, error, self._key) from error
        if reason is None:
            raise ProviderError(Code.PROVIDER_MALFORMED, f"Provider {self._name!r} ended its stream without finishing.")
        finish = finish_from(reason)
        if not text:
            self._check_refusal("".join(refusal), finish)
        yield Completion(text="".join(text), model=model, finish_reason=finish, usage=usage)

    async def aclose(self) -> None:
        await self.client.close()

    async def _open(self, model: str, request: CompletionRequest) -> openai.AsyncStream[ChatCompletionChunk]:
        options = self._options(request)
        try:
            return await self._create_stream(model, request, {**options, "stream_options": {"include_usage": True}})
        except openai.BadRequestError as error:
            if "stream_options" not in str(error):
                raise
            # Some servers speak an older form of the protocol; usage then stays unknown.
            return await self._create_stream(model, request, options)

    async def _create_stream(
        self, model: str, request: CompletionRequest, options: dict[str, Any]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        stream: openai.AsyncStream[ChatCompletionChunk] = await self.client.chat.completions.create(
            model=model, messages=_messages(request), stream=True, **options
        )
        return stream

    async def _choose(self, asked: str | None) -> str:
        """The model asked for, else the configured one, else the first that the endpoint lists."""
        if asked or self._model:
            return asked or self._model or ""
        async for model in self.client.models.list():
            self._model = model.id
            return model.id
        raise ProviderError(
            Code.PROVIDER_REJECTED,
            f"Provider {self._name!r} lists no model.",
            hint="Name one: `model` in the agent's `[llm]` or in the provider's settings.",
        )

    def _options(self, request: CompletionRequest) -> dict[str, Any]:
        given = {name: value for name in CHAT_OPTIONS if (value := getattr(request, name)) is not None}
        if request.max_tokens is not None:
            given[self._max_tokens] = request.max_tokens
        if request.stop:
            given["stop"] = list(request.stop)
        return {**self._defaults, **given}

    def _check_refusal(self, refusal: str | None, finish: FinishReason) -> None:
        """An answer without text is none where the provider said that it refuses."""
        if refusal or finish is FinishReason.CONTENT_FILTER:
            raise ProviderError(
                Code.PROVIDER_REFUSED, f"Provider {self._name!r} refused the content.", why=refusal or ""
            )

    def _too_slow(self, limit: float) -> ProviderError:
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {self._name!r} did not finish within {limit:g} s.")


def _check(url: httpx2.URL) -> None:
    """Find what is no address before a request does, in words of its own."""
    if not url.host:
        raise httpx2.InvalidURL("It has no host.")
    if url.port is not None and not 0 < url.port < 65536:
        raise httpx2.InvalidURL(f"There is no port {url.port}.")


def _messages(request: CompletionRequest) -> Any:
    return [{"role": message.role.value, "content": message.content} for message in request.messages]


def _model(said: object, asked: str) -> str:
    """The model as the provider names it, which is often more exact than what it was asked for."""
    return said if isinstance(said, str) and said else asked
