"""What backends elsewhere have in common: the words of a text, and where an entry belongs."""

import re
import unicodedata
import uuid

from caxton.domain.agent import MemoryScope
from caxton.domain.memory import MemoryEntry, MemorySpace
from caxton.memory.words import STOP_WORDS


def tokens(text: str) -> list[str]:
    """The words of a text in their order: in lower case, without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return re.findall(r"\w+", plain)


def asked(text: str) -> tuple[list[str], list[list[str]]]:
    """The words to search for, and the phrases among them that stand in double quotes. Common words are left out."""
    phrases = [words for phrase in re.findall(r'"([^"]*)"', text) if (words := tokens(phrase))]
    loose = tokens(re.sub(r'"[^"]*"', " ", text))
    telling = [word for word in loose if word not in STOP_WORDS] or ([] if phrases else loose)
    return list(dict.fromkeys([*(word for phrase in phrases for word in phrase), *telling])), phrases


def space_name(space: MemorySpace) -> str:
    return f"{space.scope.value}:{space.owner}"


def space_of(name: str) -> MemorySpace:
    scope, _, owner = name.partition(":")
    return MemorySpace(scope=MemoryScope(scope), owner=owner)


def order_of(entry: MemoryEntry) -> int:
    """The place of an entry in the order of their making: the time and counter of its id, if it is one of ours."""
    try:
        id = uuid.UUID(entry.id)
    except ValueError:
        id = None
    return id.int >> 80 << 12 | (id.int >> 64 & 0xFFF) if id and id.version == 7 else int(entry.created_at * 1e3) << 12
