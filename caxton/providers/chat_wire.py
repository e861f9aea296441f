"""What all conversations with a provider have in common: deadline, assembling, refusals, errors.

A wire speaks one protocol to one endpoint. It says how to ask and how to read a piece of the answer, in the shapes of
`openai_answer`; everything that has to be the same whichever provider is asked, is here.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from caxton.domain.completion import Completion, CompletionRequest, Delta, FinishReason, ModelInfo
from caxton.domain.errors import Code, ProviderError
from caxton.providers.deadline import Deadline
from caxton.providers.openai_answer import Answer, Calls, Chunk, finish_from, usage_from


class ChatWire(ABC):
    """Completions from one endpoint. `name` is the provider's, for errors; `timeout` is in seconds, for the whole."""

    def __init__(self, *, name: str, timeout: float, model: str | None) -> None:
        self._name = name
        self._timeout = timeout
        self._model = model
        self._closed = False
        self._deadlines: set[Deadline] = set()

    async def complete(self, request: CompletionRequest) -> Completion:
        self._check_open()
        limit = request.timeout or self._timeout
        try:
            with self._deadline(limit) as deadline, deadline:
                model = await self._choose(request)
                answer = await self._ask(model, request)
        except TimeoutError:
            raise self._failure(self._too_slow(limit)) from None
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else self._cause(error))
        choice = answer.choices[0]
        calls = Calls()
        calls.take(choice.message.tool_calls)
        return self._whole(
            choice.message.content or "",
            choice.message.refusal,
            choice.finish_reason,
            model=_model(answer.model, model),
            usage=usage_from(answer.usage),
            tool_calls=calls.whole(),
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        self._check_open()
        limit = request.timeout or self._timeout
        text: list[str] = []
        refusal: list[str] = []
        calls = Calls()
        reason, usage, model = None, None, ""
        try:
            async with AsyncExitStack() as opened:
                deadline = opened.enter_context(self._deadline(limit))
                with deadline:
                    model = await self._choose(request)
                    pieces = await self._open(model, request, opened)
                while True:
                    # The deadline holds for each wait rather than around the yield: between pieces the time is the
                    # consumer's, and a timeout may not strike it there.
                    with deadline:
                        piece = await anext(pieces, None)
                    if piece is None:
                        break
                    self._check_open()
                    chunk = self._read(piece)
                    model = _model(chunk.model, model)
                    if chunk.usage:
                        usage = usage_from(chunk.usage) or usage
                    for choice in chunk.choices or ():
                        reason = choice.finish_reason or reason
                        if choice.delta is None:
                            continue
                        calls.take(choice.delta.tool_calls)
                        if choice.delta.refusal:
                            refusal.append(choice.delta.refusal)
                        if choice.delta.content:
                            text.append(choice.delta.content)
                            yield Delta(choice.delta.content)
        except TimeoutError:
            raise self._failure(self._too_slow(limit)) from None
        except Exception as error:
            failure = self._failure(error)
            raise failure from (None if failure is error else self._cause(error))
        if reason is None:
            raise ProviderError(Code.PROVIDER_MALFORMED, f"Provider {self._name!r} ended its stream without finishing.")
        yield self._whole("".join(text), "".join(refusal), reason, model=model, usage=usage, tool_calls=calls.whole())

    async def aclose(self) -> None:
        """Let go of the connections; requests under way fail with `provider_unavailable`."""
        self._closed = True
        for deadline in self._deadlines:
            deadline.cut()
        await self._close()

    @abstractmethod
    async def models(self) -> list[ModelInfo]:
        """Those that the endpoint has."""

    @abstractmethod
    async def _choose(self, request: CompletionRequest) -> str:
        """The model to ask."""

    @abstractmethod
    async def _ask(self, model: str, request: CompletionRequest) -> Answer: ...

    @abstractmethod
    async def _open(self, model: str, request: CompletionRequest, opened: AsyncExitStack) -> AsyncIterator[Any]:
        """The pieces of a streamed answer; what is to be closed after them is put into `opened`."""

    @abstractmethod
    def _read(self, piece: Any) -> Chunk: ...

    @abstractmethod
    def _meaning(self, error: Exception) -> ProviderError:
        """What an exception of this protocol's client means."""

    @abstractmethod
    async def _close(self) -> None: ...

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[Deadline]:
        """A deadline that comes at the latest when the wire is closed."""
        deadline = Deadline(seconds)
        self._deadlines.add(deadline)
        try:
            yield deadline
        finally:
            self._deadlines.remove(deadline)
            deadline.close()

    def _cause(self, error: Exception) -> Exception | None:
        """The cause that a traceback may show; not one that quotes the provider, and it perhaps the key."""
        return error

    def _check_open(self) -> None:
        if self._closed:
            raise ProviderError(Code.PROVIDER_UNAVAILABLE, f"Provider {self._name!r} was closed.")

    def _failure(self, error: Exception) -> ProviderError:
        """What the caller is told of it. Whatever goes wrong while the wire closes, goes wrong because of that."""
        try:
            self._check_open()
        except ProviderError as closed:
            return closed
        return self._meaning(error)

    def _whole(self, text: str, refusal: str | None, reason: object, **others: Any) -> Completion:
        """The completion; ProviderError where all that was said is that it is refused."""
        finish = finish_from(reason)
        if not text and (refusal or finish is FinishReason.CONTENT_FILTER):
            raise ProviderError(
                Code.PROVIDER_REFUSED, f"Provider {self._name!r} refused the content.", why=refusal or ""
            )
        if others["tool_calls"] and finish is FinishReason.STOP:
            # Some servers say so of every answer that is not cut off.
            finish = FinishReason.TOOL_CALLS
        return Completion(text=text, finish_reason=finish, **others)

    def _too_slow(self, limit: float) -> ProviderError:
        return ProviderError(Code.PROVIDER_TIMEOUT, f"Provider {self._name!r} did not finish within {limit:g} s.")


def _model(said: object, asked: str) -> str:
    """The model as the provider names it, which is often more exact than what it was asked for."""
    return said if isinstance(said, str) and said else asked
