"""TOML, fast where all is well and exact where it is not.

`tomli` parses; it is compiled, and knows the place of a syntax error. The places of keys and values, wanted only when
there is something to say about them, are looked up in `places`.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import tomli

from caxton.config.codes import Problem
from caxton.config.excerpt import excerpt, point
from caxton.config.places import KeyPath, Places
from caxton.config.syntax import syntax_error
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import ConfigurationError

SURROGATE = re.compile(r"[\ud800-\udfff]")
NUMBER = re.compile(r"[0-9](?:_?[0-9]){999,}")
BEYOND = "the number does not fit into 64 bits"
MOST = 100
"""Problems told of one file. Nobody reads more; each has its line, and the file may be one long line of problems."""


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
        raise ConfigurationError(
            [point(source.path, source.text, half.start(), code=Problem.ENCODING, message=message)]
        )
    try:
        data = tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError([syntax_error(source, error)]) from None
    except RecursionError:
        diagnostic = Diagnostic(code=Problem.TOML_SYNTAX, message="tables or lists nest too deeply", file=source.path)
        raise ConfigurationError([diagnostic]) from None
    except ValueError:
        # Python refuses to read a whole number of thousands of digits, and does not say where it stands.
        number = NUMBER.search(source.text)
        begin, end = number.span() if number else (0, 1)
        diagnostic = point(
            source.path, source.text, begin, code=Problem.INVALID_VALUE, message=BEYOND, length=end - begin
        )
        raise ConfigurationError([diagnostic]) from None
    if found := [*islice(_beyond_64_bits(data), MOST)]:
        raise ConfigurationError(locate(source, found))
    return data


def locate(source: Source, findings: list[Finding]) -> list[Diagnostic]:
    """The findings as diagnostics with their places, in the order of the text."""
    places = Places(source.text)
    found = []
    for finding in findings:
        span = places.of(finding.path, at_key=finding.at_key, within=finding.within)
        line, length = excerpt(places.line(span.line), span.column, span.length)
        found.append(
            Diagnostic(
                code=finding.code,
                message=finding.message,
                file=source.path,
                severity=finding.severity,
                line=span.line,
                column=span.column,
                length=length,
                source="" if finding.secret else line,
                key=".".join(str(part) for part in finding.path),
                hint=finding.hint,
            )
        )
    return sorted(found, key=lambda diagnostic: (diagnostic.line, diagnostic.column))


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
            yield Finding(path, Problem.INVALID_VALUE, BEYOND)
