"""Chat completions by way of LiteLLM's library, which speaks the OpenAI protocol to us and all others to services.

Imported only in a thread, when first needed: what it uses of LiteLLM takes seconds.
"""

import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import cache
from importlib import import_module
from typing import Any

import httpx
import httpx2
import msgspec
import openai

from caxton.domain.completion import Completion, CompletionRequest, FinishReason, ModelInfo
from caxton.domain.errors import Code, ProviderError
from caxton.providers.bounded import LARGEST_ANSWER
from caxton.providers.chat_wire import ChatWire
from caxton.providers.http_errors import retry_after
from caxton.providers.openai_answer import Answer, Chunk, answer_from, chunk_from, usage_from
from caxton.providers.openai_errors import provider_error
from caxton.providers.openai_request import messages_of, options_of

LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
GRACE = 5.0
"""Seconds that LiteLLM's own deadline comes after ours, which is the one that is told."""
UNREAD = (ValueError, LookupError, TypeError, AttributeError, StopAsyncIteration)
"""What LiteLLM trips over in answers that are not what it takes them for."""
FRAME = 256
"""Bytes that a piece of an answer is taken for beside its text."""


class LiteLLMWire(ChatWire):
    """Completions from whatever service the model's name says.

    `key` None leaves it to LiteLLM to find one in its usual environment variables. Nothing of `secrets` gets into
    errors. LiteLLM reads answers itself, so that only streamed ones are of bounded size here.
    """

    def __init__(
        self,
        *,
        name: str,
        key: str | None,
        secrets: Sequence[str],
        timeout: float,
        base_url: str | None,
        model: str | None,
        defaults: dict[str, Any],
    ) -> None:
        super().__init__(name=name, timeout=timeout, model=model)
        self._secrets = secrets
        self._defaults = defaults
        self._fixed = {"api_key": key, "base_url": base_url, "max_retries": 0, "num_retries": 0}
        self.client = load_litellm()

    async def models(self) -> list[ModelInfo]:
        raise ProviderError(
            Code.PROVIDER_REJECTED, f"Provider {self._name!r} does not list the models of all services."
        )

    async def _choose(self, request: CompletionRequest) -> str:
        if model := request.model or self._model:
            return model
        raise ProviderError(
            Code.PROVIDER_REJECTED,
            f"Provider {self._name!r} has to be told which model to ask.",
            hint="Name one with its service, like 'anthropic/claude-sonnet-4-5': `model` in the agent's `[llm]` or in "
            f"[providers.{self._name}].",
        )

    async def _ask(self, model: str, request: CompletionRequest) -> Answer:
        answer = answer_from(await self.client.acompletion(**self._arguments(model, request)))
        return msgspec.structs.replace(answer, usage=_counted(answer.usage))

    async def _open(self, model: str, request: CompletionRequest, opened: AsyncExitStack) -> AsyncIterator[Any]:
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        pieces = await self.client.acompletion(**self._arguments(model, request), **streamed)
        opened.push_async_callback(pieces.aclose)
        return self._bounded(pieces)

    async def _bounded(self, pieces: AsyncIterator[Any]) -> AsyncGenerator[Any]:
        taken = 0
        async for piece in pieces:
            taken += FRAME + sum(len(choice.delta.content or "") for choice in piece.choices)
            if taken > LARGEST_ANSWER:
                raise ProviderError(
                    Code.PROVIDER_MALFORMED,
                    f"The answer of provider {self._name!r} was cut off: it is larger than {LARGEST_ANSWER} bytes.",
                )
            yield piece

    def _read(self, piece: Any) -> Chunk:
        chunk = chunk_from(piece)
        return chunk if chunk.usage is None else msgspec.structs.replace(chunk, usage=_counted(chunk.usage))

    def _whole(self, text: str, refusal: str | None, reason: object, **others: Any) -> Completion:
        whole = super()._whole(text, refusal, reason, **others)
        if not (whole.text or whole.tool_calls or whole.usage) and whole.finish_reason is FinishReason.STOP:
            # LiteLLM lets whatever it cannot read end like this.
            raise ProviderError(Code.PROVIDER_MALFORMED, f"Provider {self._name!r} sent what cannot be read.")
        return whole

    def _meaning(self, error: Exception) -> ProviderError:
        if isinstance(error, self.client.UnsupportedParamsError):
            return ProviderError(
                Code.PROVIDER_REJECTED,
                f"Provider {self._name!r} asks a service that does not know all options of the request.",
                why=str(error).partition(" To drop these")[0],
                hint="Leave them out of the agent's `[llm]` and of the provider's settings.",
            )
        found = _beneath(error)
        meant = provider_error(self._name, found, *self._secrets)
        code, why = meant.code, meant.why.partition("\nTraceback")[0]
        if type(found) is openai.OpenAIError:
            # The client's own, before it asks anybody: it has no key.
            code = Code.PROVIDER_AUTHENTICATION
        elif isinstance(error, self.client.ContextWindowExceededError):
            code = Code.CONTEXT_TOO_LONG
        elif isinstance(error, self.client.ContentPolicyViolationError):
            code = Code.PROVIDER_REFUSED
        after = meant.retry_after
        if after is None and code in (Code.PROVIDER_RATE_LIMITED, Code.PROVIDER_UNAVAILABLE):
            after = _retry_after(error)
        return ProviderError(code, meant.message, why=why, hint=_hint(meant, code), retry_after=after)

    def _cause(self, error: Exception) -> Exception | None:
        return None if isinstance(error, openai.OpenAIError) else error

    async def _close(self) -> None:
        """Nothing: LiteLLM keeps the connections of all its users in one place, for whoever comes next."""

    def _arguments(self, model: str, request: CompletionRequest) -> dict[str, Any]:
        return {
            **self._fixed,
            "model": model,
            "messages": messages_of(request.messages),
            "timeout": (request.timeout or self._timeout) + GRACE,
            **options_of(request, defaults=self._defaults, max_tokens="max_tokens"),
        }


@cache
def load_litellm() -> Any:
    """The library, once for the process, which keeps to itself. Takes seconds."""
    # Else it would fetch its tables from the network while it is imported.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = import_module("litellm")
    for name in LOGGERS:
        # What it has to say its exceptions say too, and they are rid of keys.
        logging.getLogger(name).disabled = True
    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.disable_streaming_logging = True
    litellm.disable_hf_tokenizer_download = True
    # Its own estimates of usage would look like what the service counted.
    litellm.disable_token_counter = True
    # Much of it is imported by the first request; this one asks nobody.
    asked = {"model": "openai/none", "messages": [{"role": "user", "content": ""}], "mock_response": "", "api_key": ""}
    litellm.completion(**asked)
    list(litellm.completion(**asked, stream=True))
    return litellm


def _counted(usage: object) -> object:
    """The usage as the service counted it, None where LiteLLM has put noughts in its place."""
    told = usage_from(usage)
    return told if told and (told.prompt_tokens or told.completion_tokens) else None


def _beneath(error: Exception) -> Exception:
    """What LiteLLM made an exception of its own of, where that tells more."""
    chain = [*_chain(error)]
    for one in chain:
        if type(one).__module__.partition(".")[0] == "openai":
            return one
        if isinstance(one, httpx.InvalidURL):
            return httpx2.InvalidURL(str(one))
    unread = any(isinstance(one, UNREAD) for one in chain)
    answered = any(isinstance(one, httpx.HTTPError) for one in chain)
    if unread or (isinstance(error, openai.InternalServerError) and not answered):
        return ValueError(str(error))
    return error


def _retry_after(error: Exception) -> float | None:
    """Seconds, from the headers of the answer that it all began with."""
    answered = (one.response for one in _chain(error) if isinstance(one, httpx.HTTPStatusError))
    return next((retry_after(response.headers) for response in answered), None)


def _hint(meant: ProviderError, code: Code) -> str:
    """The hint where it belongs to the code, which has one of its own."""
    return meant.hint if meant.code is code else ""


def _chain(error: BaseException | None) -> Iterator[Exception]:
    while isinstance(error, Exception):
        yield error
        error = error.__cause__ or error.__context__
