"""Patterns of tool names, as allow-lists have them: `files.read_*`, `web.*`, `*`."""

import re
from collections.abc import Iterable

from caxton.domain.tool import is_server_name

_SERVER_PART = re.compile(r"[a-z0-9*][a-z0-9_*-]{0,63}")


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern, with the next step; empty where nothing is."""
    if pattern == "*":
        return ""
    server, dot, tool = pattern.partition(".")
    if not dot:
        all_of = f" Write '{pattern}.*' for all tools of that server." if is_server_name(pattern) else ""
        return f"{pattern!r} names no tool: expected server.tool, where `*` stands for anything.{all_of}"
    if not tool:
        return f"{pattern!r} ends with its dot. Write '{server}.*' for all tools of that server."
    if not _SERVER_PART.fullmatch(server):
        return f"{server!r} is no server's name: expected lower-case letters, digits, '-' and '_', `*` for anything."
    return ""


class ToolPatterns:
    """Several patterns, compiled: the first that matches a name is found in about a microsecond.

    `*` stands for any characters, none included; all others for themselves. Raises ValueError for a pattern that
    `pattern_problem` finds something wrong with.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        for pattern in self.patterns:
            if problem := pattern_problem(pattern):
                raise ValueError(problem)
        # One expression for all, tried from left to right: the first that fits wins, and its group tells which.
        self._compiled = re.compile("|".join(f"({_expression(p)})" for p in self.patterns) or r"(?!)", re.DOTALL)
        self._servers = re.compile("|".join(_expression(p.partition(".")[0]) for p in self.patterns) or r"(?!)")

    def match(self, name: str) -> str | None:
        """The first pattern that matches `server.tool`, None where none does."""
        found = self._compiled.fullmatch(name)
        return self.patterns[found.lastindex - 1] if found and found.lastindex else None

    def may_match_server(self, server: str) -> bool:
        """Whether some tool of that server could match."""
        return self._servers.fullmatch(server) is not None


def _expression(pattern: str) -> str:
    # Several stars in a row mean what one means, and would cost a backtracking matcher dearly.
    return ".*".join(re.escape(part) for part in re.sub(r"\*+", "*", pattern).split("*"))
