"""What an argument of a call may be: paths below a prefix, hosts of a list.

These rules look at the text of an argument alone; they hold for any server, and know nothing of its links or of what a
name resolves to. The standard servers check that themselves, where it can be checked.
"""

import posixpath
import re
from collections.abc import Mapping

from caxton.domain.tool_settings import ArgumentRule
from caxton.tools.host_names import HostNames, host_of

_DRIVE = re.compile(r"[A-Za-z]:")


class CompiledRule:
    """An argument rule, ready to be checked in microseconds."""

    def __init__(self, rule: ArgumentRule) -> None:
        self.rule = rule
        self._way = tuple(rule.argument.split("."))
        self._prefixes = tuple(_clean(prefix) for prefix in rule.path_prefixes)
        self._hosts = HostNames(rule.hosts)

        allowed = [f"at or below {prefix!r}" for prefix in rule.path_prefixes]
        allowed += [f"host {host!r}" for host in rule.hosts]
        self._text = f"{rule.tool}: {rule.argument} {' or '.join(allowed)}"

    def __str__(self) -> str:
        return self._text

    def objection(self, arguments: Mapping[str, object]) -> str:
        """Why the rule forbids these arguments; empty where it does not."""
        value: object = arguments
        for step in self._way:
            if not isinstance(value, Mapping) or step not in value:
                return f"the argument {self.rule.argument!r} is missing"
            value = value[step]
        values = value if isinstance(value, list | tuple) else [value]
        for one in values:
            if not isinstance(one, str):
                return f"the argument {self.rule.argument!r} is no text: {one!r}"[:200]
            if not self._below(one) and host_of(one) not in self._hosts:
                return f"the argument {self.rule.argument!r} is {one!r}"[:200]
        return ""

    def _below(self, path: str) -> bool:
        cleaned = _clean(path)
        # A path that begins with `~` or a drive lies wherever the server thinks it does.
        if "\0" in path or path.startswith("~") or (_DRIVE.match(path) and not self._drives()):
            return False
        return any(
            cleaned == prefix or cleaned.startswith(prefix.rstrip("/") + "/") or (prefix == "." and _inside(cleaned))
            for prefix in self._prefixes
        )

    def _drives(self) -> bool:
        return any(_DRIVE.match(prefix) for prefix in self._prefixes)


def _clean(path: str) -> str:
    return posixpath.normpath(path.replace("\\", "/").replace("//", "/") or ".")


def _inside(cleaned: str) -> bool:
    return not cleaned.startswith(("/", "../")) and cleaned != ".."
