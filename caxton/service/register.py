"""Which file defines which agent, and how each was read last."""

from pathlib import Path

from caxton.config.codes import Problem
from caxton.config.source import printable
from caxton.domain.agent import ReloadResult
from caxton.service.api.agents import RejectedFile


class Register:
    """A file defines one agent or, where it is wrong, none; an agent is defined by one file, or none while it goes."""

    def __init__(self) -> None:
        self._defined_by: dict[Path, str] = {}
        self._results: dict[str, ReloadResult] = {}
        self._rejected: dict[Path, RejectedFile] = {}

    def name_in(self, path: Path) -> str | None:
        """The agent that a file defines."""
        return self._defined_by.get(path)

    def file_of(self, name: str) -> Path | None:
        """The file that defines an agent."""
        return next((path for path, defined in self._defined_by.items() if defined == name), None)

    def result(self, name: str) -> ReloadResult | None:
        """How the last reading of an agent's file went, for as long as the agent is there."""
        return self._results.get(name)

    def rejected(self) -> list[RejectedFile]:
        """The files that define no agent because of their errors, by path."""
        return [self._rejected[path] for path in sorted(self._rejected)]

    def duplicates(self) -> list[Path]:
        """The files that are held back because another defines the agent that they name."""
        told = {path: rejected.diagnostics for path, rejected in self._rejected.items()}
        told |= {path: result.diagnostics for path, name in self._defined_by.items() if (result := self.result(name))}
        return [
            path
            for path, diagnostics in told.items()
            if any(diagnostic.code == Problem.DUPLICATE_NAME for diagnostic in diagnostics)
        ]

    def accept(self, path: Path, name: str, result: ReloadResult) -> str | None:
        """Note that this file, and no other, defines an agent; the other agent that it defined before, if any."""
        if (other := self.file_of(name)) and other != path:
            del self._defined_by[other]
        before = self._defined_by.get(path)
        self._defined_by[path] = name
        self._results[name] = result
        self._rejected.pop(path, None)
        return before if before != name else None

    def reject(self, path: Path, result: ReloadResult) -> None:
        """Note what is wrong with a file; what it defines it goes on defining."""
        if name := self._defined_by.get(path):
            self._results[name] = result
        else:
            self._rejected[path] = RejectedFile(file=printable(path), at=result.at, diagnostics=result.diagnostics)

    def forget_file(self, path: Path) -> str | None:
        """Note that a file has gone; the agent that it defined."""
        self._rejected.pop(path, None)
        return self._defined_by.pop(path, None)

    def forget_agent(self, name: str) -> None:
        """Note that an agent has gone."""
        self._results.pop(name, None)
