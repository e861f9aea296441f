"""What the content of a message may be: a JSON object, so that every store, codec and model can hold it.

That is less than Python or MessagePack have: keys are text, numbers are finite, integers fit into 64 bits, text has no
half surrogate pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import msgspec

DEEPEST = 64
"""Objects and lists within each other."""
SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""Integers that both codecs carry."""


class Flaw(NamedTuple):
    """Something that JSON cannot say, and the path to it (`content.rows[3].mean`)."""

    place: str
    what: str


def flaws(value: object, place: str = "content") -> Iterator[Flaw]:
    """All flaws of a value, from the first to the last. What is nested too deep is told once and not looked into."""
    if _is_flawless(value):
        return
    # A stack of its own: what comes from outside must not decide how deep this one's is.
    waiting = [(value, place, 1)]
    while waiting:
        one, where, depth = waiting.pop()
        if isinstance(one, Mapping | list | tuple):
            if depth > DEEPEST:
                yield Flaw(where[:200], f"is nested more than {DEEPEST} levels deep")
                return
            inside: list[tuple[object, str, int]] = []
            if isinstance(one, Mapping):
                for key, member in one.items():
                    if what := _flaw(key) if isinstance(key, str) else "is no text":
                        yield Flaw(where, f"has a key that {what}: {str(key)[:40]!r}")
                    else:
                        inside.append((member, f"{where}.{key[:40]}", depth + 1))
            else:
                inside = [(member, f"{where}[{number}]", depth + 1) for number, member in enumerate(one)]
            waiting += reversed(inside)
        elif what := _flaw(one):
            yield Flaw(where, what)


def _is_flawless(value: object) -> bool:
    """The same without places, which take most of the time, and for the usual types alone: a no may be wrong."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        inside: list[object] = []
        for one in level:
            if isinstance(one, dict):
                if not all(isinstance(key, str) and key.isascii() for key in one):
                    return False
                inside += one.values()
            elif isinstance(one, list):
                inside += one
            elif _flaw(one):
                return False
        if not inside:
            return True
        level = inside
    return not any(_flaw(one) for one in level)


def _flaw(value: object) -> str:
    """What keeps a value that holds no others out of JSON; empty where nothing does."""
    match value:
        case None | bool():
            return ""
        case str():
            if value.isascii():
                return ""
            try:
                value.encode()
            except UnicodeEncodeError as error:
                return f"has half a surrogate pair, which is not text, as character {error.start + 1}"
            return ""
        case int():
            return "" if SMALLEST <= value <= LARGEST else "is an integer of more than 64 bits"
        case float():
            return "" if isfinite(value) else f"is {value}, which JSON does not have"
        case _:
            return f"is a {type(value).__name__}, which JSON does not have"


def size(content: Mapping[str, object]) -> int:
    """Bytes of a flawless content as JSON."""
    return len(msgspec.json.encode(content))


def as_text(content: Mapping[str, object]) -> str:
    """A content as words: its text, or, where it has none, the whole as JSON; empty where there is nothing in it."""
    text = content.get("text")
    if isinstance(text, str) and text:
        return text
    return msgspec.json.encode(content).decode() if content else ""


def shortened(value: object, most: int) -> object:
    """A value for a report on it: scalars as they are, texts cut after `most` characters, all else by its kind."""
    match value:
        case str():
            text = value.encode(errors="replace").decode()
            return text if len(text) <= most else f"{text[:most]}…"
        case None | bool():
            return value
        case int() | float() if not _flaw(value):
            return value
        case int() | float():
            return "a number out of range"
        case Mapping():
            return f"an object of {len(value)} fields"
        case Sequence():
            return f"a list of {len(value)}"
        case _:
            return f"a {type(value).__name__}"
