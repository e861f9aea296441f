"""The embedded model's process, as its parent sees it."""

import asyncio
import json
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from caxton.domain.errors import Code, ProviderError

log = logging.getLogger(__name__)

LOADING = 120.0
"""Seconds a model may take to load; large files on slow disks do."""
STOPPING = 5.0
"""Seconds from closing its input to killing the process."""


class ModelProcess:
    """A worker that serves, until `stop`. Made by `start_model`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, key: str) -> None:
        self._process = process
        self.url = url
        self.key = key

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ended(self, *, within: float) -> bool:
        """Whether the process ends within so many seconds; waits until it does, or until they are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._process.wait()
        return not self.alive

    async def stop(self) -> None:
        """End the process; one that has ended stays so."""
        if self._process.stdin:
            self._process.stdin.close()
        if not await self.ended(within=STOPPING):
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def start_model(task: Mapping[str, object], log_file: Path) -> ModelProcess:
    """Start a worker and wait until it serves. What llama.cpp says goes to `log_file`.

    ProviderError `provider_unavailable` where the model cannot be loaded.
    """
    key = secrets.token_urlsafe(24)
    # llama.cpp's threads meet after every step, and wait there spinning unless told to sleep (OpenMP 5.0, §6.7). With
    # other work on the processors a spinning thread keeps off the very one it waits for: answers take twenty times as
    # long. For the same reason a model has no more threads than half the processors unless the settings give it more.
    try:
        with log_file.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "caxton.providers.local_worker",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={"OMP_WAIT_POLICY": "passive", **os.environ},
                # Out of reach of the terminal's Ctrl-C, which is for the server to act on.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
    except OSError as error:
        raise _failed(task, f"its process cannot be started: {error}", log_file) from error
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(LOADING):
            process.stdin.write(json.dumps({**task, "key": key}).encode() + b"\n")
            answer = await process.stdout.readline()
        told = json.loads(answer) if answer else {"error": f"it ended with status {await process.wait()}"}
    except BaseException as error:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise _failed(task, f"it did not load within {LOADING:g} s", log_file) from None
        raise
    if "error" in told:
        await process.wait()
        raise _failed(task, told["error"], log_file)
    return ModelProcess(process, told["url"], key)


def _failed(task: Mapping[str, object], why: str, log_file: Path) -> ProviderError:
    return ProviderError(
        Code.PROVIDER_UNAVAILABLE,
        f"The model {str(task['model_path'])!r} cannot be run.",
        why=why,
        hint=f"See {log_file}; check that the file is a GGUF model and that there is memory for it.",
    )
