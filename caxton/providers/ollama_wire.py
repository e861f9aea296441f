"""Ollama's own protocol, spoken by the official client.

Imported only in a thread, when first needed, as the client takes its time.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any
from urllib.parse import urlsplit

import httpx
import ollama

from caxton.domain.completion import Capability, CompletionRequest, ModelInfo, PullProgress
from caxton.domain.errors import Code, ProviderError
from caxton.providers.bounded import Bounded, limit_for
from caxton.providers.capable import check_capable
from caxton.providers.chat_wire import ChatWire
from caxton.providers.ollama_errors import ollama_error, pull_error, status_error
from caxton.providers.ollama_request import chat_of
from caxton.providers.openai_answer import Answer, Call, Choice, Chunk, ChunkChoice, Function, Text

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the endpoint, which is quick or not at all."""
CONTEXT_LENGTH = 8192
"""Tokens that a model's context is given where neither settings nor Modelfile say.

Ollama's own choice depends on its version and the machine, is not told, and what does not fit it cuts off silently.
"""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
SILENCE = 600.0
"""Seconds between two reports of a pull; checking a large file takes a while."""
LARGEST_REPORT = 256 * 1024 * 1024
"""Bytes of the reports of one pull: days of them."""
NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)


class OllamaWire(ChatWire):
    """Completions from one Ollama.

    `options` are Ollama's own, for every request; `defaults` are those of requests that do not choose themselves.
    `overrides` says what the settings know better than Ollama, as fields of ModelInfo. What it tells of its models is
    kept in `known`, by the names asked for; the empty one stands for that which is asked where none is named.
    """

    def __init__(
        self,
        *,
        name: str,
        key: str | None,
        timeout: float,
        base_url: str,
        model: str | None,
        defaults: dict[str, Any],
        options: dict[str, Any],
        overrides: dict[str, Any],
        keep_alive: float | None,
        known: dict[str, ModelInfo],
    ) -> None:
        super().__init__(name=name, timeout=timeout, model=model)
        self._key = key or ""
        self._defaults = defaults
        self._options = options
        self._overrides = overrides
        self._keep_alive = keep_alive
        self._known = known
        self._mute: set[str] = set()
        try:
            host = urlsplit(base_url).hostname
            if not host:
                # The client would go to this machine then.
                raise httpx.InvalidURL("It has no host.")  # noqa: TRY301 - told as those it finds itself
            self.client = Client(
                base_url,
                # The whole has a deadline of its own, the request's or ours: reading must not end before it.
                timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
                headers={"Accept-Encoding": "identity"},
                auth=self._authorize,
                event_hooks={"response": [self._check]},
                limits=httpx.Limits(max_connections=None),
                # The way to this machine itself leads past the proxies that the environment names.
                trust_env=host not in LOOPBACK,
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise ollama_error(name, httpx.InvalidURL(str(error))) from error

    async def models(self) -> list[ModelInfo]:
        try:
            async with asyncio.timeout(self._timeout):
                found = [await self._look_up(name) for name in sorted(await self._names())]
                return [model for model in found if model.name not in self._mute]
        except TimeoutError:
            raise self._failure(self._too_slow(self._timeout)) from None
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else self._cause(error))

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Implements `Pulls`. What Ollama reports is of one file at a time."""
        self._known.pop(model, None)
        status = ""
        try:
            with self._deadline(SILENCE) as silence:
                reports = await self.client.pull(model, stream=True)
                async with aclosing(aiter(reports)) as pieces:  # type: ignore[type-var]  # it is a generator
                    while True:
                        silence.renew(SILENCE)
                        with silence:
                            report = await anext(pieces, None)
                        if report is None:
                            break
                        status = report.status or status
                        yield PullProgress(status=status, completed=report.completed or 0, total=report.total)
        except TimeoutError:
            raise self._failure(self._too_slow(SILENCE)) from None
        except ollama.ResponseError as error:
            raise self._failure(pull_error(self._name, model, error.error)) from None
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else self._cause(error))
        if status != "success":
            raise ProviderError(
                Code.PROVIDER_MALFORMED, f"Provider {self._name!r} stopped fetching {model!r} without finishing."
            )

    async def _choose(self, request: CompletionRequest) -> str:
        """The model asked for, else the configured one, else the newest that can talk; found able to do it."""
        asked = request.model or self._model
        model = await self._look_up(asked) if asked else self._known.get("") or await self._newest()
        check_capable(self._name, model, request)
        return model.name

    async def _newest(self) -> ModelInfo:
        for name in await self._names():
            model = await self._look_up(name)
            if name not in self._mute:
                self._known[""] = model
                return model
        raise ProviderError(
            Code.PROVIDER_REJECTED,
            f"Provider {self._name!r} has no model.",
            hint=f"Fetch one: `caxton provider pull {self._name} llama3.2`.",
        )

    async def _names(self) -> list[str]:
        """Its models, the newest first."""
        return [model.model for model in (await self.client.list()).models if model.model]

    async def _look_up(self, name: str) -> ModelInfo:
        """What a model can do; asked for once."""
        if name not in self._known:
            shown = await self.client.show(name)
            if shown.capabilities is not None and "completion" not in shown.capabilities:
                # It makes embeddings, say.
                self._mute.add(name)
            self._known[name] = self._described(name, shown)
        return self._known[name]

    def _described(self, name: str, shown: ollama.ShowResponse) -> ModelInfo:
        sizes = [value for key, value in (shown.modelinfo or {}).items() if key.endswith(".context_length")]
        longest = sizes[0] if sizes and isinstance(sizes[0], int) else CONTEXT_LENGTH
        chosen = NUM_CTX.search(shown.parameters or "")
        told = shown.capabilities
        return ModelInfo(
            **{
                "name": name,
                "context_length": int(chosen[1]) if chosen else min(longest, CONTEXT_LENGTH),
                "tools": None if told is None else Capability.TOOLS in told,
                "vision": None if told is None else Capability.VISION in told,
                # Any model is held to a schema by its sampler.
                "json_schema": True,
                **self._overrides,
            }
        )

    async def _ask(self, model: str, request: CompletionRequest) -> Answer:
        answer = await self.client.ask(self._body(model, request))
        return Answer(
            choices=[Choice(message=_text(answer), finish_reason=answer.done_reason)],
            model=answer.model,
            usage=_usage(answer),
        )

    async def _open(self, model: str, request: CompletionRequest, opened: AsyncExitStack) -> AsyncIterator[Any]:
        pieces = await self.client.open(self._body(model, request))
        opened.push_async_callback(pieces.aclose)
        return pieces

    def _body(self, model: str, request: CompletionRequest) -> dict[str, Any]:
        options = {**self._options, "num_ctx": self._known[model].context_length}
        body = chat_of(request, model=model, defaults=self._defaults, options=options)
        return body if self._keep_alive is None else {**body, "keep_alive": self._keep_alive}

    def _read(self, piece: Any) -> Chunk:
        reason, usage = (piece.done_reason or "stop", _usage(piece)) if piece.done else (None, None)
        return Chunk(choices=[ChunkChoice(delta=_text(piece), finish_reason=reason)], model=piece.model, usage=usage)

    def _meaning(self, error: Exception) -> ProviderError:
        return ollama_error(self._name, error, self._key)

    def _cause(self, error: Exception) -> Exception | None:
        return None if isinstance(error, ollama.ResponseError) else error

    async def _close(self) -> None:
        await self.client.close()  # type: ignore[no-untyped-call]

    def _authorize(self, request: httpx.Request) -> httpx.Request:
        """Only the key of the settings is sent: the client would send that of its own environment variable."""
        request.headers.pop("authorization", None)
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"
        return request

    async def _check(self, response: httpx.Response) -> None:
        """A hook for responses: bound them, and raise those that are errors while their headers can be read."""
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - true of every asynchronous client's
        limit = limit_for(response.headers.get("content-encoding", ""))
        if response.request.url.path.endswith("/api/pull"):
            limit = LARGEST_REPORT
        response.stream = BoundedStream(response.stream, limit)
        if response.is_error:
            text = (await response.aread()).decode(errors="replace")
            asked = json.loads(response.request.content or b"{}").get("model", "")
            raise status_error(self._name, asked, response.status_code, text, response.headers)


class Client(ollama.AsyncClient):
    """The official client, with a way around its own form of tools, which drops of their schemas what it has no
    field for: the properties of nested objects, references, alternatives, bounds.
    """

    async def ask(self, body: dict[str, Any]) -> ollama.ChatResponse:
        body = {**body, "stream": False}
        return await self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=False)

    async def open(self, body: dict[str, Any]) -> AsyncGenerator[ollama.ChatResponse]:
        body = {**body, "stream": True}
        pieces = await self._request(ollama.ChatResponse, "POST", "/api/chat", json=body, stream=True)
        assert isinstance(pieces, AsyncGenerator)  # noqa: S101 - more than it is declared to be
        return pieces


class BoundedStream(Bounded, httpx.AsyncByteStream):
    """The stream as the client that Ollama's uses takes it."""


def _text(answer: ollama.ChatResponse) -> Text:
    message = answer.message
    calls = [
        Call(function=Function(name=call.function.name, arguments=call.function.arguments))
        for call in message.tool_calls or ()
    ]
    return Text(content=message.content, tool_calls=calls or None)


def _usage(answer: ollama.ChatResponse) -> dict[str, int | None]:
    return {"prompt_tokens": answer.prompt_eval_count, "completion_tokens": answer.eval_count}
