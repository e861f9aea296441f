"""What is wrong in a configuration file, and where."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One problem of one file.

    `line` and `column` count from 1, columns in characters; both are 0 where the problem is the file as a whole
    (unreadable, not UTF-8). `source` is the text of that line, `length` how many characters from `column` on are
    meant; `key` is the dotted path in the file where there is one.
    """

    code: str
    message: str
    file: str
    severity: Severity = Severity.ERROR
    line: int = 0
    column: int = 0
    length: int = 1
    source: str = ""
    key: str = ""
    hint: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def location(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def headline(self) -> str:
        """The diagnostic in a line, as a log has it: location, severity, code and message."""
        return f"{self.location}: {self.severity}[{self.code}]: {self.message}"

    def render(self) -> str:
        """The diagnostic as a person reads it: location, message, the line with a caret, the hint."""
        parts = [self.headline]
        if self.source and self.column:
            number = str(self.line)
            # A tab stays a tab, so that the caret stands below its character whatever the tab's width is.
            indent = "".join(c if c == "\t" else " " for c in self.source[: self.column - 1])
            parts.append(f" {number} | {self.source}")
            parts.append(f" {' ' * len(number)} | {indent}{'^' * max(1, self.length)}")
        if self.hint:
            parts.append(f"   hint: {self.hint}")
        return "\n".join(parts)
