"""The agents directory and the agents it defines, kept in step.

What is in a file is in force; what cannot be is shown beside what still is. Everything that reads or writes the
directory goes through here, one at a time, so that a request and the watcher that notices its file do not race.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from caxton.config.agent_file import load_definition
from caxton.config.codes import Problem
from caxton.config.source import printable, read_source
from caxton.config.watcher import watch_definitions
from caxton.domain.agent import LoadedDefinition, ReloadOutcome, ReloadResult, Source
from caxton.domain.completion import ModelInfo
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.ports.agents import AgentStore
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.provider import DescribesModels, offers
from caxton.domain.ports.providers import Providers
from caxton.runtime.actor import Actor
from caxton.runtime.supervisor import Supervisor
from caxton.service.agent_files import agent_files, delete, is_gone, make_directory, save
from caxton.service.api.agents import RejectedFile
from caxton.service.departures import Departures, tell
from caxton.service.register import Register

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that a file may be gone before its agent goes too: many editors delete a file to write it anew."""


class Definitions:
    """`providers` are those that a file may choose from."""

    def __init__(
        self,
        *,
        directory: Path,
        supervisor: Supervisor,
        agents: AgentStore,
        providers: Providers,
        clock: Clock,
    ) -> None:
        self.directory = directory
        self._supervisor = supervisor
        self._agents = agents
        self._providers = providers
        self._clock = clock
        self._lock = asyncio.Lock()
        self._register = Register()
        self._going: set[asyncio.Task[None]] = set()
        self._departures = Departures(supervisor=supervisor, agents=agents, register=self._register)

    def result(self, name: str) -> ReloadResult:
        """How the last reading of an agent's file went; CaxtonError `agent_not_found`."""
        if result := self._register.result(name):
            return result
        raise CaxtonError(Code.AGENT_NOT_FOUND, f"There is no agent {name!r}.")

    def rejected(self) -> list[RejectedFile]:
        """The files that define no agent because of their errors."""
        return self._register.rejected()

    def file_of(self, name: str) -> Path | None:
        """The file that defines an agent."""
        return self._register.file_of(name)

    def check(self, source: Source) -> LoadedDefinition:
        """What a text defines; ConfigurationError with all its problems."""
        return load_definition(source, providers=[*self._providers.names()], describe=self._describe)

    def _describe(self, provider: str | None, model: str | None) -> ModelInfo | None:
        try:
            found = self._providers.get(provider or self._providers.default)
        except CaxtonError:
            return None  # said where it matters: a name that is not known, a kind that cannot be imported
        return found.describe(model) if offers(found, DescribesModels) else None

    async def prepare(self) -> None:
        """Make the directory if need be; CaxtonError `storage_failed` where it cannot be used."""
        await asyncio.to_thread(make_directory, self.directory)

    async def load_all(self) -> None:
        """Read the whole directory."""
        async with self._lock:
            read = await asyncio.to_thread(lambda: {path: self._read(path) for path in agent_files(self.directory)})
            kept = {Path(record.source.path): record.source for record in await self._agents.all()}
            broken = {path: error for path, error in read.items() if isinstance(error, ConfigurationError)}
            async with asyncio.TaskGroup() as group:
                for path in (path for path in read if path not in broken):
                    group.create_task(self._adopt(path, read[path]))
            # Last: a broken file's agent may have moved to another file.
            for path, error in broken.items():
                await self._reject(path, error.diagnostics, kept.get(path))

    async def watch(self, stop: asyncio.Event, watching: asyncio.Event) -> None:
        """Follow the directory until `stop` is set; `watching` is set as soon as nothing is missed any more.

        Whatever is wrong with one file, the others are followed on.
        """
        try:
            async for paths in watch_definitions(self.directory, stop):
                watching.set()
                for path in sorted(paths):
                    try:
                        await self.follow(path)
                    except CaxtonError as error:
                        # A full disk, say. The file is read again when it changes next, or by `caxton agent reload`.
                        log.error("%s could not be taken in: %s", path, error)
                    except Exception:
                        log.exception("%s could not be taken in", path)
        finally:
            # A file that goes now is not there at the next start; its agent is stopped with all others.
            going = [*self._going]
            for task in going:
                task.cancel()
            await asyncio.gather(*going, self._departures.cancel(), return_exceptions=True)

    async def follow(self, path: Path) -> None:
        """Take in that a file was made, changed or deleted."""
        if await asyncio.to_thread(is_gone, path):
            going = asyncio.create_task(self._remove_later(path), name=f"grace for {path.name}")
            self._going.add(going)
            going.add_done_callback(self._going.discard)
            going.add_done_callback(tell)
        else:
            await self._reload(path)

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
            await asyncio.to_thread(save, path, toml, replace=replace)
            result = await self._adopt(path, await asyncio.to_thread(self._read, path))
            if result.outcome is ReloadOutcome.REJECTED:
                raise ConfigurationError(result.diagnostics)
            return self._supervisor.get(defined)

    async def delete(self, name: str, *, forget: bool) -> Path | None:
        """Remove an agent and its file once its turns have ended; the path of the file.

        Another file that defines the name, and was rejected for that, is in force then.
        """
        async with self._lock:
            path = self.file_of(self._supervisor.get(name).name)
            if path:
                await asyncio.to_thread(delete, path)
                self._register.forget_file(path)
            leaving = self._departures.begin(name, forget=forget)
        await asyncio.wait([leaving])
        if leaving.cancelled():
            raise CaxtonError(Code.SERVER_STOPPING, f"The server stops before agent {name!r} has ended its turns.")
        leaving.result()
        async with self._lock:
            await self._retry_duplicates()
        return path

    def _read(self, path: Path) -> LoadedDefinition | ConfigurationError:
        """What a file defines, or why it does not. Nothing that a file holds keeps the others from being read."""
        try:
            return self.check(read_source(path))
        except ConfigurationError as error:
            return error
        except Exception as fault:
            log.exception("%s could not be checked", path)
            message = f"the file could not be checked: {type(fault).__name__}: {fault}"
            hint = "This is a fault in Caxton; the log has the details, please report it."
            return ConfigurationError(
                [Diagnostic(code=Code.INTERNAL, message=message, file=printable(path), hint=hint)]
            )

    async def _reload(self, path: Path) -> ReloadResult:
        async with self._lock:
            return await self._adopt(path, await asyncio.to_thread(self._read, path))

    async def _adopt(self, path: Path, loaded: LoadedDefinition | ConfigurationError) -> ReloadResult:
        """Put what was read from `path` in force; where it is wrong, what is in force stays."""
        if isinstance(loaded, ConfigurationError):
            return await self._reject(path, loaded.diagnostics)
        name = loaded.definition.name
        other = self.file_of(name)
        displaced = None
        if other and other != path and not await asyncio.to_thread(is_gone, other):
            if other not in self._register.duplicates():
                return await self._reject(path, [self._duplicate(path, name, other)])
            # It names another agent by now, which it was not given: two files may exchange their names.
            displaced = self._register.result(name)
        await self._departures.over(name)
        actor = self._supervisor.find(name)
        outcome = ReloadOutcome.APPLIED
        if actor and actor.loaded.definition == loaded.definition and other == path:
            outcome = ReloadOutcome.UNCHANGED
        previous = self._register.result(name)
        if outcome is ReloadOutcome.UNCHANGED and previous and previous.outcome is not ReloadOutcome.REJECTED:
            # The last change is what is told, with the warnings where they stand by now.
            result = msgspec.structs.replace(previous, diagnostics=loaded.warnings)
        else:
            result = ReloadResult(at=self._clock.now(), outcome=outcome, diagnostics=loaded.warnings)
        before = self._register.accept(path, name, result)
        if other and displaced:
            self._register.reject(other, displaced)
        await self._supervisor.apply(loaded)
        log.info("%s: agent %s %s", path, name, outcome)
        if before:
            await self._vacate(before)
        return result

    async def _reject(self, path: Path, diagnostics: Sequence[Diagnostic], kept: Source | None = None) -> ReloadResult:
        """Note what is wrong with a file. What it defines stays in force; at the start that is what it last did.

        That is `kept`, unless another file defines the agent by now.
        """
        for diagnostic in diagnostics:
            log.warning("%s", diagnostic.headline)
        result = ReloadResult(at=self._clock.now(), outcome=ReloadOutcome.REJECTED, diagnostics=tuple(diagnostics))
        if kept and self._register.name_in(path) is None:
            try:
                loaded = self.check(kept)
                if self.file_of(loaded.definition.name) is None:
                    self._register.accept(path, loaded.definition.name, result)
                    await self._supervisor.apply(loaded)
            except ConfigurationError as error:
                # What was right once need not be now: a provider may be gone from caxton.toml.
                log.warning("%s: its last accepted definition is not valid any more: %s", path, error)
        self._register.reject(path, result)
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
            if not await asyncio.to_thread(is_gone, path):
                return
            if name := self._register.forget_file(path):
                log.info("%s is gone", path)
                await self._vacate(name)

    async def _vacate(self, name: str) -> None:
        """The file that defined an agent does so no more: another that defines it too takes it over, or it goes."""
        await self._retry_duplicates()
        if self.file_of(name) is None:
            self._departures.begin(name)

    async def _retry_duplicates(self) -> None:
        """Read again the files whose agents' names others had."""
        for path in self._register.duplicates():
            await self._adopt(path, await asyncio.to_thread(self._read, path))
