"""The OpenAI chat completions protocol, spoken by the official client.

Imported only in a thread, when first needed: the `openai` package takes a third of a second.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from caxton.domain.completion import Completion, CompletionRequest, Delta, FinishReason, Usage
from caxton.domain.errors import Code, ProviderError
from caxton.providers.openai_errors import provider_error

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of one answer; what goes on beyond is cut off."""
CONNECT_TIMEOUT = 10.0
"""Seconds to reach the endpoint, which is quick or not at all."""

CHAT_OPTIONS = ("temperature", "top_p", "seed")


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Cuts off answers that would fill the memory."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - true of every async transport
        response.stream = BoundedStream(response.stream)
        return response


class BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        taken = 0
        async for part in self._stream:
            taken += len(part)
            if taken > LARGEST_ANSWER:
                raise ProviderError(
                    Code.PROVIDER_MALFORMED, f"The provider's answer is larger than {LARGEST_ANSWER} bytes."
                )
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class OpenAIWire:
    """Completions from one endpoint. `name` is the provider's, for errors; `timeout` is in seconds, for the whole."""

    def __init__(
        self,
        *,
        name: str,
        key: str,
        timeout: float,
        base_url: str | None = None,
        model: str | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._model = model
        self._defaults = defaults or {}
        # Hosted models have renamed this option; what speaks their protocol elsewhere knows the old name.
        self._max_tokens = "max_tokens" if base_url else "max_completion_tokens"
        limits = httpx2.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout))
        self.client = openai.AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            timeout=limits,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(transport=BoundedTransport(), timeout=limits),
        )

    async def complete(self, request: CompletionRequest) -> Completion:
        try:
            async with asyncio.timeout(request.timeout or self._timeout):
                model = await self._choose(request.model)
                answer: object = await self.client.chat.completions.create(
                    model=model, messages=_messages(request), **self._options(request)
                )
        except TimeoutError:
            raise self._too_slow() from None
        except Exception as error:
            raise provider_error(self._name, error) from error
        if not isinstance(answer, ChatCompletion) or not answer.choices:
            raise ProviderError(
                Code.PROVIDER_MALFORMED, f"Provider {self._name!r} answered without a choice.", why=repr(answer)[:200]
            )
        choice = answer.choices[0]
        if choice.message is None or choice.message.content is None:
            refusal = choice.message.refusal if choice.message else None
            if refusal or choice.finish_reason == "content_filter":
                raise ProviderError(
                    Code.PROVIDER_REFUSED, f"Provider {self._name!r} refused the content.", why=refusal or ""
                )
        text = choice.message.content if choice.message else None
        return Completion(
            text=text or "",
            model=answer.model or model,
            finish_reason=_finish(choice.finish_reason),
            usage=_usage(answer),
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (request.timeout or self._timeout)
        text: list[str] = []
        finish, usage, model = None, None, ""
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
                        chunk: ChatCompletionChunk | None = await anext(pieces, None)
                    if chunk is None:
                        break
                    model = chunk.model or model
                    usage = _usage(chunk) or usage
                    for choice in chunk.choices or ():
                        finish = choice.finish_reason or finish
                        if choice.delta and choice.delta.content:
                            text.append(choice.delta.content)
                            yield Delta(choice.delta.content)
        except TimeoutError:
            raise self._too_slow() from None
        except Exception as error:
            raise provider_error(self._name, error) from error
        if finish is None:
            raise ProviderError(Code.PROVIDER_MALFORMED, f"Provider {self._name!r} ended its stream without finishing.")
        yield Completion(text="".join(text), model=model, finish_reason=_finish(finish), usage=usage)

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

    def _too_slow(self) -> ProviderError:
        return ProviderError(
            Code.PROVIDER_TIMEOUT, f"Provider {self._name!r} did not finish within {self._timeout:g} s."
        )


def _messages(request: CompletionRequest) -> Any:
    return [{"role": message.role.value, "content": message.content} for message in request.messages]


def _usage(answer: ChatCompletion | ChatCompletionChunk) -> Usage | None:
    usage = answer.usage
    if usage is None:
        return None
    return Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)


def _finish(reason: str | None) -> FinishReason:
    return {"length": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}.get(
        reason or "", FinishReason.STOP
    )
