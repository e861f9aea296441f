"""TOML, fast where all is well and exact where it is not.

`tomli` parses; it is compiled, and knows the place of a syntax error. The places of keys and values, wanted only when
there is something to say about them, are looked up in `places`.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import tomli

from caxton.config.codes import Problem
from caxton.config.places import KeyPath, Places, excerpt
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import ConfigurationError

SURROGATE = re.compile(r"[\ud800-\udfff]")
NUMBER = re.compile(r"[0-9](?:_?[0-9]){999,}")
SECRET = re.compile(r"""api[-_]?key["']?\s*[=:]""", re.IGNORECASE)
"""A key that stands in the file itself; its line is not shown, for what is shown is logged."""
TWICE = ("Cannot declare", "Cannot overwrite", "Cannot redefine", "Cannot mutate", "Duplicate")


class Finding(NamedTuple):
    """A problem before its place in the text is known.

    `at_key` marks the key rather than the value, `within` the part of the value that reads so. A `secret` is marked,
    but not shown.
    """

    path: KeyPath
    code: Problem
    message: str
    hint: str = ""
    at_key: bool = False
    severity: Severity = Severity.ERROR
    within: str = ""
    secret: bool = False


def parse(source: Source) -> dict[str, Any]:
    """The data of a TOML text, whole numbers within 64 bits; ConfigurationError with the place of what is no TOML."""
    if half := SURROGATE.search(source.text):
        message = f"{half[0]!r} is half of a character, which UTF-8 cannot hold"
        raise ConfigurationError([_at(source, half.start(), Problem.ENCODING, message)])
    try:
        data = tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_error(source, error)]) from None
    except RecursionError:
        diagnostic = Diagnostic(code=Problem.TOML_SYNTAX, message="tables or lists nest too deeply", file=source.path)
        raise ConfigurationError([diagnostic]) from None
    except ValueError:
        # Python refuses to read a whole number of thousands of digits, and does not say where it stands.
        number = NUMBER.search(source.text)
        message = "the number does not fit into 64 bits"
        raise ConfigurationError(
            [_at(source, number.start() if number else 0, Problem.INVALID_VALUE, message)]
        ) from None
    if found := list(_beyond_64_bits(data)):
        raise ConfigurationError(locate(source, found))
    return data


def locate(source: Source, findings: list[Finding]) -> list[Diagnostic]:
    """The findings as diagnostics with their places, in the order of the text."""
    places = Places(source.text)
    found = []
    for finding in findings:
        span = places.of(finding.path, at_key=finding.at_key, within=finding.within)
        line, length = excerpt(places.line(span.line), span.column, span.length)
        hidden = finding.secret or SECRET.search(line)
        found.append(
            Diagnostic(
                code=finding.code,
                message=finding.message,
                file=source.path,
                severity=finding.severity,
                line=span.line,
                column=span.column,
                length=length,
                source="" if hidden else line,
                key=".".join(str(part) for part in finding.path),
                hint=finding.hint,
            )
        )
    return sorted(found, key=lambda diagnostic: (diagnostic.line, diagnostic.column))


def _at(source: Source, offset: int, code: Problem, message: str) -> Diagnostic:
    """A problem at a character of the text."""
    before = source.text[:offset]
    column = offset - before.rfind("\n")
    line, length = excerpt(source.text[offset - column + 1 :].partition("\n")[0].rstrip("\r"), column, 1)
    shown = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", line)
    number = before.count("\n") + 1
    return Diagnostic(
        code=code, message=message, file=source.path, line=number, column=column, length=length, source=shown
    )


def _beyond_64_bits(data: dict[str, Any]) -> Iterator[Finding]:
    """TOML asks for whole numbers of 64 bits and for an error beyond; what stores and sends them has no more either."""
    waiting: list[tuple[KeyPath, Any]] = [((), data)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            yield Finding(path, Problem.INVALID_VALUE, "the number does not fit into 64 bits")


def _syntax_error(source: Source, error: tomli.TOMLDecodeError) -> Diagnostic:
    lines = source.text.replace("\r\n", "\n").split("\n")
    number = min(max(error.lineno, 1), len(lines))
    text = lines[number - 1]
    column, length = min(max(error.colno, 1), len(text) + 1), 1
    if error.msg.startswith(TWICE) and text.strip():
        # The parser knows of it only at the end of the line.
        column, length = len(text) - len(text.lstrip()) + 1, len(text.strip())
    line, length = excerpt(text, column, length)
    return Diagnostic(
        code=Problem.TOML_SYNTAX,
        message=f"this is not TOML: {error.msg}",
        file=source.path,
        line=number,
        column=column,
        length=length,
        source="" if SECRET.search(line) else line,
        hint="" if SECRET.search(line) else _syntax_hint(line, error.msg),
    )


def _syntax_hint(line: str, problem: str) -> str:
    """What most often is meant by a line that does not parse."""
    key, equals, value = (part.strip() for part in line.partition("="))
    value = value.partition("#")[0].strip()
    if line.startswith("\ufeff"):
        return "The text begins with a byte order mark; save it as UTF-8 without one."
    if problem.startswith(TWICE):
        return "What it names is there before; keep one of the two."
    if problem.startswith("Unterminated") or (line.count('"') % 2 and '"' in value[:1]):
        return 'A quote is not closed; text over several lines stands in """ … """.'
    if problem.startswith("Unclosed"):
        return "A comma, or the bracket that closes it, is missing at this place or before."
    if problem.startswith(("Unescaped", "Invalid hex")):
        return "For a backslash write two of them, or put the text into single quotes."
    if not equals and ":" in line:
        return "TOML writes `key = value`, with an equals sign."
    if equals and not value:
        return f"Give {key!r} a value, or remove the line."
    if value[:1].isalnum():
        return f'Text stands in quotes: {key} = "{value}"'
    return ""
