"""TOML, fast where all is well and exact where it is not.

`tomli` parses; it is compiled, and knows the place of a syntax error. The places of keys and values, wanted only when
there is something to say about them, come from a second look at the text by tree-sitter.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import tomli

from caxton.config.codes import Problem
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic, Severity
from caxton.domain.errors import ConfigurationError

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the top of the file down to a value."""


class Finding(NamedTuple):
    """A problem before its place in the text is known. `at_key` marks the key rather than the value."""

    path: KeyPath
    code: Problem
    message: str
    hint: str = ""
    at_key: bool = False
    severity: Severity = Severity.ERROR
    offset: int = 0
    """Characters into a one-line string value where the problem begins."""


class Span(NamedTuple):
    """A place in a text, 1-based; `length` in characters, within one line."""

    line: int
    column: int
    length: int


def parse(source: Source) -> dict[str, Any]:
    """The data of a TOML text; ConfigurationError with the place of the syntax error."""
    try:
        return tomli.loads(source.text)
    except tomli.TOMLDecodeError as error:
        lines = source.text.replace("\r\n", "\n").split("\n")
        line = min(max(error.lineno, 1), len(lines))
        text = lines[line - 1]
        column = min(max(error.colno, 1), len(text) + 1)
        diagnostic = Diagnostic(
            code=Problem.TOML_SYNTAX,
            message=f"this is not TOML: {error.msg}",
            file=source.path,
            line=line,
            column=column,
            source=text,
            hint=_syntax_hint(text),
        )
        raise ConfigurationError([diagnostic]) from None
    except RecursionError:
        diagnostic = Diagnostic(code=Problem.TOML_SYNTAX, message="tables or lists nest too deeply", file=source.path)
        raise ConfigurationError([diagnostic]) from None


def _syntax_hint(line: str) -> str:
    """What most often is meant by a line that does not parse."""
    key, equals, value = line.partition("=")
    if not equals and ":" in line:
        return "TOML writes `key = value`, with an equals sign."
    if equals and not value.strip():
        return f"Give {key.strip()!r} a value, or remove the line."
    if equals and value.strip()[0].isalpha() and value.strip() not in ("true", "false", "inf", "nan"):
        return f'Text stands in quotes: {key.strip()} = "{value.strip()}"'
    if line.count('"') % 2:
        return 'A quote is not closed; text over several lines stands in """ … """.'
    return ""


def locate(source: Source, findings: list[Finding]) -> list[Diagnostic]:
    """The findings as diagnostics with their places, in the order of the text."""
    places = Places(source.text)
    found = []
    for finding in findings:
        span = places.of(finding.path, at_key=finding.at_key)
        if finding.offset and finding.offset < span.length:
            span = Span(span.line, span.column + finding.offset, 1)
        found.append(
            Diagnostic(
                code=finding.code,
                message=finding.message,
                file=source.path,
                severity=finding.severity,
                line=span.line,
                column=span.column,
                length=span.length,
                source=places.line(span.line),
                key=".".join(str(part) for part in finding.path),
                hint=finding.hint,
            )
        )
    return sorted(found, key=lambda diagnostic: (diagnostic.line, diagnostic.column))


class Places:
    """Where the keys and values of a TOML text are."""

    def __init__(self, text: str) -> None:
        import tree_sitter
        import tree_sitter_toml

        self._lines = text.split("\n")
        self._keys: dict[KeyPath, Span] = {}
        self._values: dict[KeyPath, Span] = {}
        self._lists: dict[KeyPath, int] = {}
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        for node in parser.parse(text.encode()).root_node.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def line(self, number: int) -> str:
        return self._lines[number - 1].rstrip("\r")

    def of(self, path: KeyPath, *, at_key: bool = False) -> Span:
        """The place of the key or value at `path`; of what is nearest above it where it is not in the text."""
        first, second = (self._keys, self._values) if at_key else (self._values, self._keys)
        for length in range(len(path), 0, -1):
            above = path[:length]
            if length < len(path):
                first, second = self._keys, self._values
            if span := first.get(above) or second.get(above):
                return span
        return Span(1, 1, 1)

    def _table(self, node: Any) -> None:
        header, *rest = node.named_children
        path = self._named((), header)
        if node.type == "table_array_element":
            path = self._next_of(path)
        for child in rest:
            if child.type == "pair":
                self._pair(path, child)

    def _pair(self, path: KeyPath, node: Any) -> None:
        key, *values = (child for child in node.named_children if child.type != "comment")
        path = self._named(path, key)
        if values:
            self._value(path, values[0])

    def _named(self, path: KeyPath, key: Any) -> KeyPath:
        """The path that a key, dotted or not, leads to from `path`; each part's place is noted."""
        for part in _parts(key):
            # A key below a list of tables belongs to the last table begun.
            if path in self._lists:
                path = (*path, self._lists[path] - 1)
            path = (*path, _name(part))
            self._keys.setdefault(path, self._span(part))
        return path

    def _next_of(self, path: KeyPath) -> KeyPath:
        index = self._lists.get(path, 0)
        self._lists[path] = index + 1
        self._keys[(*path, index)] = self._keys[path]
        return (*path, index)

    def _value(self, path: KeyPath, node: Any) -> None:
        self._values[path] = self._span(node)
        inner = [child for child in node.named_children if child.type != "comment"]
        if node.type == "inline_table":
            for child in inner:
                if child.type == "pair":
                    self._pair(path, child)
        elif node.type == "array":
            for index, child in enumerate(inner):
                self._value((*path, index), child)

    def _span(self, node: Any) -> Span:
        # tree-sitter counts bytes; people count characters.
        row, start = node.start_point
        encoded = self._lines[row].rstrip("\r").encode()
        end = node.end_point[1] if node.end_point[0] == row else len(encoded)
        column = len(encoded[:start].decode(errors="replace")) + 1
        return Span(row + 1, column, max(1, len(encoded[start:end].decode(errors="replace"))))


def _parts(key: Any) -> Iterator[Any]:
    if key.type == "dotted_key":
        for child in key.named_children:
            yield from _parts(child)
    else:
        yield key


def _name(key: Any) -> str:
    raw = key.text.decode(errors="replace")
    if key.type != "quoted_key":
        return str(raw)
    (name,) = tomli.loads(f"{raw} = 0")
    return str(name)
