"""What is shown of the text that a problem is in."""

import re

from caxton.domain.diagnostics import Diagnostic

WIDEST = 1000
"""Characters of a line that are shown."""
SECRET = re.compile(
    r"""(?:(?:api|access|secret|private|openai|anthropic)[-_]?key|(?:access|auth|api|bearer)[-_]?token|password|secret)
    ["']?\s*[=:]|\bsk-[A-Za-z0-9_-]{16}""",
    re.IGNORECASE | re.VERBOSE,
)
"""A key or password that stands in the file itself; its line is not shown, for what is shown is logged."""
UNSEEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey, hide or turn around, and what UTF-8 cannot hold."""


def excerpt(line: str, column: int, length: int) -> tuple[str, int]:
    """What is shown of a line where `length` characters at `column` are meant, and how many of those are in it."""
    if column > WIDEST or SECRET.search(line[: 2 * WIDEST]):
        return "", 1
    seen = UNSEEN.sub("\N{REPLACEMENT CHARACTER}", line[:WIDEST])
    return seen, max(1, min(length, len(seen) - column + 1))


def point(file: str, text: str, offset: int, *, code: str, message: str, length: int = 1, hint: str = "") -> Diagnostic:
    """A problem at a character of a text, or of `length` from there on."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[begin : end if end >= 0 else None].removesuffix("\r")
    column = offset - begin + 1
    source, seen = excerpt(line, column, length)
    number = text.count("\n", 0, offset) + 1
    return Diagnostic(
        code=code, message=message, file=file, line=number, column=column, length=seen, source=source, hint=hint
    )
