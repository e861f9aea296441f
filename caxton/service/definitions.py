"""The agents directory and the agents it defines, kept in step.

What is in a file is in force; what cannot be is shown beside what still is. Everything that reads or writes the
directory goes through here, one at a time, so that a request and the watcher that notices its file do not race.
"""

import asyncio
import logging
import os
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from caxton.config.agent_file import load_definition
from caxton.config.codes import Problem
from caxton.config.source import read_source
from caxton.config.watcher import is_definition, watch_definitions
from caxton.domain.agent import LoadedDefinition, ReloadOutcome, ReloadResult, Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.ports.agents import AgentStore
from caxton.domain.ports.clock import Clock
from caxton.runtime.actor import Actor
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.agents import RejectedFile

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that a file may be gone before its agent goes too: many editors delete a file to write it anew."""


class Definitions:
    """`providers` are the names that a file may choose from."""

    def __init__(
        self,
        *,
        directory: Path,
        supervisor: Supervisor,
        agents: AgentStore,
        providers: Collection[str],
        clock: Clock,
    ) -> None:
        self.directory = directory
        self._supervisor = supervisor
        self._agents = agents
        self._providers = providers
        self._clock = clock
        self._lock = asyncio.Lock()
        self._defined_by: dict[Path, str] = {}
        self._results: dict[str, ReloadResult] = {}
        self._rejected: dict[Path, RejectedFile] = {}
        self._going: set[asyncio.Task[None]] = set()

    def result(self, name: str) -> ReloadResult:
        """How the last reading of an agent's file went."""
        return self._results[name]

    def rejected(self) -> list[RejectedFile]:
        """The files that define no agent because of their errors."""
        return [self._rejected[path] for path in sorted(self._rejected)]

    def file_of(self, name: str) -> Path | None:
        return next((path for path, defined in self._defined_by.items() if defined == name), None)

    def check(self, source: Source) -> LoadedDefinition:
        """What a text defines; ConfigurationError with all its problems."""
        return load_definition(source, providers=self._providers)

    async def prepare(self) -> None:
        """Make the directory if need be; CaxtonError `storage_failed` where it cannot be used."""
        try:
            await asyncio.to_thread(self.directory.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise CaxtonError(
                Code.STORAGE_FAILED,
                f"The agents directory {str(self.directory)!r} cannot be used.",
                why=str(error),
                hint="Choose another with `--agents-dir`, CAXTON_AGENTS_DIR or `agents_dir` in `[server]`.",
            ) from error

    async def load_all(self) -> None:
        """Read the whole directory."""
        async with self._lock:
            paths = await asyncio.to_thread(lambda: sorted(filter(is_definition, self.directory.glob("*.toml"))))
            read = await asyncio.to_thread(lambda: [self._read(path) for path in paths])
            kept = {Path(record.source.path): record.source for record in await self._agents.all()}
            async with asyncio.TaskGroup() as group:
                for path, loaded in zip(paths, read, strict=True):
                    group.create_task(self._adopt(path, loaded, kept.get(path)))

    async def watch(self, stop: asyncio.Event, watching: asyncio.Event) -> None:
        """Follow the directory until `stop` is set; `watching` is set as soon as nothing is missed any more."""
        async for paths in watch_definitions(self.directory, stop):
            watching.set()
            for path in sorted(paths):
                try:
                    await self.follow(path)
                except CaxtonError as error:
                    # A full disk, say. The file is read again when it changes next, or by `caxton agent reload`.
                    log.error("%s could not be taken in: %s", path, error)

    async def follow(self, path: Path) -> None:
        """Take in that a file was made, changed or deleted."""
        if await asyncio.to_thread(path.exists):
            await self._reload(path)
        else:
            going = asyncio.create_task(self._remove_later(path), name=f"grace for {path.name}")
            self._going.add(going)
            going.add_done_callback(self._going.discard)

    async def reload(self, name: str) -> ReloadResult:
        """Read an agent's file again, now; ConfigurationError where it is wrong, and then the agent stays as it was."""
        path = self.file_of(self._supervisor.get(name).name)
        if path is None:
            raise CaxtonError(Code.AGENT_NOT_FOUND, f"Agent {name!r} has no file any more.")
        result = await self._reload(path)
        if result.outcome is ReloadOutcome.REJECTED:
            raise ConfigurationError(result.diagnostics)
        return result

    async def write(self, toml: str, *, name: str | None = None, replace: bool = False) -> Actor:
        """Check a definition, put it into the directory and in force.

        `name` is what the definition must be called, where that is settled. CaxtonError `agent_exists` unless
        `replace`; ConfigurationError where the text is wrong. Then the directory is as it was.
        """
        source = Source(path="(request)", text=toml)
        loaded = await asyncio.to_thread(self.check, source)
        defined = loaded.definition.name
        if name is not None and defined != name:
            raise CaxtonError(
                Code.BODY_INVALID, f"The definition is named {defined!r}, the request speaks of {name!r}."
            )
        async with self._lock:
            path = self.file_of(defined)
            if path and not replace:
                raise CaxtonError(Code.AGENT_EXISTS, f"Agent {defined!r} exists already, defined by {path}.")
            path = path or self.directory / f"{defined}.toml"
            await asyncio.to_thread(self._save, path, toml, replace)
            result = await self._adopt(path, await asyncio.to_thread(self._read, path), None)
            if result.outcome is ReloadOutcome.REJECTED:
                raise ConfigurationError(result.diagnostics)
            return self._supervisor.get(defined)

    async def delete(self, name: str, *, forget: bool) -> Path | None:
        """Remove an agent and its file; the path of the file."""
        async with self._lock:
            actor = self._supervisor.get(name)
            path = self.file_of(actor.name)
            if path:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                self._defined_by.pop(path)
            self._results.pop(name, None)
            await self._supervisor.remove(name, forget=forget)
            return path

    def _read(self, path: Path) -> LoadedDefinition | ConfigurationError:
        try:
            return self.check(read_source(path))
        except ConfigurationError as error:
            return error

    def _save(self, path: Path, toml: str, replace: bool) -> None:
        """Write the file whole or not at all."""
        if path.exists() and not replace:
            raise CaxtonError(Code.AGENT_EXISTS, f"The file {path} exists already.")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=f".{path.stem}-", suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                    file.write(toml)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise CaxtonError(Code.STORAGE_FAILED, f"The file {path} cannot be written.", why=str(error)) from error

    async def _reload(self, path: Path) -> ReloadResult:
        async with self._lock:
            return await self._adopt(path, await asyncio.to_thread(self._read, path), None)

    async def _adopt(
        self, path: Path, loaded: LoadedDefinition | ConfigurationError, kept: Source | None
    ) -> ReloadResult:
        """Put what was read from `path` in force; where it is wrong, what is in force or was last (`kept`) stays."""
        now = self._clock.now()
        if isinstance(loaded, ConfigurationError):
            return await self._reject(path, loaded.diagnostics, kept)
        name = loaded.definition.name
        other = self.file_of(name)
        if other not in (None, path) and await asyncio.to_thread(other.exists):
            return await self._reject(path, [self._duplicate(path, name, other)], kept)
        actor = self._supervisor.find(name)
        outcome = ReloadOutcome.APPLIED
        if actor and actor.loaded.definition == loaded.definition and other == path:
            outcome = ReloadOutcome.UNCHANGED
        if other:
            self._defined_by.pop(other)
        before = self._defined_by.get(path)
        self._defined_by[path] = name
        self._rejected.pop(path, None)
        before_this = self._results.get(name)
        if before_this is None or ReloadOutcome.UNCHANGED not in (outcome, before_this.outcome):
            self._results[name] = ReloadResult(at=now, outcome=outcome, diagnostics=loaded.warnings)
        if before not in (None, name):
            await self._supervisor.remove(before)
            self._results.pop(before, None)
        await self._supervisor.apply(loaded)
        log.info("%s: agent %s %s", path, name, outcome)
        return self._results[name]

    async def _reject(self, path: Path, diagnostics: Sequence[Diagnostic], kept: Source | None) -> ReloadResult:
        now = self._clock.now()
        log.warning("%s", "\n".join(diagnostic.render() for diagnostic in diagnostics))
        name = self._defined_by.get(path)
        if name is None and kept:
            try:
                loaded = self.check(kept)
                name = self._defined_by[path] = loaded.definition.name
                await self._supervisor.apply(loaded)
            except ConfigurationError as error:
                # What was right once need not be now: a provider may be gone from caxton.toml.
                log.warning("%s: its last accepted definition is not valid any more: %s", path, error)
        result = ReloadResult(at=now, outcome=ReloadOutcome.REJECTED, diagnostics=tuple(diagnostics))
        if name:
            self._results[name] = result
        else:
            self._rejected[path] = RejectedFile(file=str(path), at=now, diagnostics=tuple(diagnostics))
        return result

    def _duplicate(self, path: Path, name: str, other: Path) -> Diagnostic:
        return Diagnostic(
            code=Problem.DUPLICATE_NAME,
            message=f"agent {name!r} is defined already, by {other}",
            file=str(path),
            key="name",
            hint="Give one of the two another name.",
        )

    async def _remove_later(self, path: Path) -> None:
        await self._clock.sleep(GRACE)
        async with self._lock:
            if await asyncio.to_thread(path.exists):
                return
            self._rejected.pop(path, None)
            if name := self._defined_by.pop(path, None):
                log.info("%s is gone: agent %s is unloaded", path, name)
                self._results.pop(name, None)
                await self._supervisor.remove(name)
