"""Where the keys and values of a TOML text are.

tree-sitter reads the text a second time, and only when there is something to say about it. It counts bytes, people
count characters: everything given out here is in characters, from 1.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import tomli

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the top of the file down to a value."""

DEEPEST = 8
"""Parts of the longest path noted. No format goes as deep; a hostile text goes as deep as it is long."""
ESCAPE = re.compile(rb"\\(?:(e)|(x[0-9A-Fa-f]{2})|.)", re.DOTALL)


class Span(NamedTuple):
    """A place in a text; `length` in characters, within one line."""

    line: int
    column: int
    length: int


class Places:
    """The places of a text that is TOML, or was up to some statement that a parser did not like."""

    def __init__(self, text: str) -> None:
        import tree_sitter
        import tree_sitter_toml

        self._text = text
        self._lines = text.split("\n")
        self._bytes = text.encode()
        self._keys: dict[KeyPath, Any] = {}
        self._values: dict[KeyPath, Any] = {}
        self._lists: dict[KeyPath, int] = {}
        self._first: dict[KeyPath, Any] = {}
        self._statements: list[tuple[KeyPath, Any]] = []
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        for node in parser.parse(_in_older_words(self._bytes)).root_node.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def line(self, number: int) -> str:
        """The text of a line, without its end."""
        return self._lines[number - 1].rstrip("\r")

    def of(self, path: KeyPath, *, at_key: bool = False, within: str = "") -> Span:
        """The place of the key or value at `path`; of what is nearest above it where it is not in the text.

        `within` narrows it to where that text first stands in the value, if it does.
        """
        if within and (value := self._values.get(path)):
            begin = self._bytes.find(within.encode(), value.start_byte, value.end_byte)
            if begin >= 0:
                return self._span(begin, begin + len(within.encode()))
        first, second = (self._keys, self._values) if at_key else (self._values, self._keys)
        for length in range(min(len(path), DEEPEST), 0, -1):
            above = path[:length]
            if length < len(path):
                first, second = self._keys, self._values
            if node := first.get(above) or second.get(above):
                return self._span(node.start_byte, node.end_byte)
        return Span(1, 1, 1)

    def repeated(self, offset: int) -> tuple[int, int, int | None]:
        """Of the statement that the character at `offset` is in, or that ends there: where its key begins and how long
        that is, in characters, and the line where what it names stood first, None where that is not found.
        """
        end = len(self._text[:offset].encode())
        path, key = next((one for one in reversed(self._statements) if one[1].start_byte <= end), ((), None))
        if key is None:
            return offset, 1, None
        above = (self._first[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._first)
        first = next((node for node in above if node.start_byte < key.start_byte), None)
        begin = len(self._bytes[: key.start_byte].decode())
        return begin, self._span(key.start_byte, key.end_byte).length, first and first.start_point[0] + 1

    def _span(self, begin: int, end: int) -> Span:
        line_begin = self._bytes.rfind(b"\n", 0, begin) + 1
        line_end = self._bytes.find(b"\n", begin)
        if 0 <= line_end < end:
            end = max(begin, line_end - (self._bytes[line_end - 1 : line_end] == b"\r"))
        column = len(self._bytes[line_begin:begin].decode()) + 1
        return Span(self._bytes.count(b"\n", 0, begin) + 1, column, max(1, len(self._bytes[begin:end].decode())))

    def _table(self, node: Any) -> None:
        header, *rest = _whole(node)
        path, last = self._named((), header)
        self._statements.append((path, header))
        if node.type == "table_array_element":
            index = self._lists.get(path, 0)
            self._lists[path] = index + 1
            path = (*path, index)
        # The header itself, even if a table below was named before it.
        self._keys[path] = last
        for child in rest:
            if child.type == "pair":
                self._pair(path, child)

    def _pair(self, path: KeyPath, node: Any) -> None:
        key, *values = _whole(node)
        path, _ = self._named(path, key)
        self._statements.append((path, key))
        if values:
            self._value(path, values[0])

    def _named(self, path: KeyPath, key: Any) -> tuple[KeyPath, Any]:
        """The path that a key, dotted or not, leads to from `path`, and its last part; each part's place is noted."""
        part = key
        for part in _parts(key):
            # A key below a list of tables belongs to the last table begun.
            if path in self._lists:
                path = (*path, self._lists[path] - 1)
            path = (*path, self._name(part))
            if len(path) > DEEPEST:
                break
            self._keys.setdefault(path, part)
            self._first.setdefault(path, part)
        return path, part

    def _value(self, path: KeyPath, node: Any) -> None:
        if len(path) > DEEPEST:
            return
        self._values[path] = node
        inner = _whole(node)
        if node.type == "inline_table":
            for child in inner:
                if child.type == "pair":
                    self._pair(path, child)
        elif node.type == "array":
            for index, child in enumerate(inner):
                self._value((*path, index), child)

    def _name(self, key: Any) -> str:
        raw = self._bytes[key.start_byte : key.end_byte].decode()
        if key.type != "quoted_key":
            return raw
        try:
            (name,) = tomli.loads(f"{raw} = 0")
        except tomli.TOMLDecodeError:
            return raw  # beyond the statement that the parser did not like
        return str(name)


def _whole(node: Any) -> list[Any]:
    return [child for child in node.named_children if child.type not in ("comment", "ERROR")]


def _parts(key: Any) -> Iterator[Any]:
    """The parts of a key, from the left; the tree of a dotted key leans that way, and may be as deep as it is long."""
    later = []
    while key.type == "dotted_key":
        key, *rest = key.named_children
        later += reversed(rest)
    yield key
    yield from reversed(later)


def _in_older_words(data: bytes) -> bytes:
    """The text with what only TOML 1.1 escapes replaced, byte for byte: the grammar knows TOML 1.0."""
    if b"\\" not in data:
        return data
    return ESCAPE.sub(lambda match: rb"\t" if match[1] else rb"\t--" if match[2] else match[0], data)
