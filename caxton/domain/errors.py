"""The errors of the product.

    CaxtonError                 code, message, why, hint, docs
    ├── ConfigurationError      carries every Diagnostic of the files it speaks of
    ├── ProviderError           what a language-model provider answered instead of text
    └── MessageNotUnderstood    in `domain.misunderstanding`: carries every finding, and the message that tells them

What the codes mean stands in `domain.codes`.
"""

from collections.abc import Sequence

import msgspec

from caxton.domain.codes import CODES, EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, Code, CodeInfo
from caxton.domain.diagnostics import Diagnostic

__all__ = [
    "CODES",
    "EXIT_FAILED",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "CaxtonError",
    "Code",
    "CodeInfo",
    "ConfigurationError",
    "ErrorReport",
    "ProviderError",
]


class CaxtonError(Exception):
    """Something the reader can act on: what happened, why, and the next step.

    `message` names the offending value; `why` adds the cause where it is known; `hint` is the next step, by default
    the remedy of the code.
    """

    def __init__(self, code: Code, message: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.why = why
        self.hint = hint or CODES[code].remedy

    @property
    def info(self) -> CodeInfo:
        return CODES[self.code]

    @property
    def docs(self) -> str:
        """Where the code is documented, relative to the project's root."""
        return f"tutorial/reference/errors.md#{self.code}"

    def report(self) -> "ErrorReport":
        """The error as a value, fit for a message's content, a store or an API reply."""
        return ErrorReport(code=self.code, message=self.message, why=self.why, hint=self.hint)


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as data."""

    code: Code
    message: str
    why: str = ""
    hint: str = ""

    def error(self) -> CaxtonError:
        return CaxtonError(self.code, self.message, why=self.why, hint=self.hint)


class ConfigurationError(CaxtonError):
    """One or more files are wrong; `diagnostics` has every problem, not only the first."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        problems = [d for d in diagnostics if d.is_error] or list(diagnostics)
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(Code.CONFIGURATION_INVALID, f"{first.location}: {first.message}{more}", hint=first.hint)
        self.diagnostics = tuple(diagnostics)


class ProviderError(CaxtonError):
    """A provider failed. `retry_after` is in seconds, None where the provider did not say."""

    def __init__(
        self, code: Code, message: str, *, why: str = "", hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(code, message, why=why, hint=hint)
        self.retry_after = retry_after
