"""What is remembered: entries in spaces, the relations between them, and how they are asked for."""

from array import array
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from caxton.domain.agent import MemoryScope

MAX_HOPS = 5
"""Relations that a walk follows at most, one after another."""

Vector: TypeAlias = "array[float]"
"""What a text means to a model: an `array('f')` of the model's dimension and of length 1."""


class MemorySpace(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Where an entry lives. Whoever is not given a space finds nothing of what is in it.

    `owner` is the agent's name, the workspace's or the conversation's id, and empty for the global space.
    """

    scope: MemoryScope
    owner: str = ""


class MemoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="entry"):
    """One thing remembered.

    `value` is a text or any other JSON value. A `key` is unique in its space. `importance` is from 0 to 1. `subject`
    is the person it came from or is about, by whom it can be found and erased; `source` the id of the message that
    it was learnt from. Times are seconds since the epoch, UTC.
    """

    id: str
    space: MemorySpace
    value: Any
    created_at: float
    updated_at: float
    used_at: float
    key: str | None = None
    tags: tuple[str, ...] = ()
    importance: float = 0.5
    subject: str | None = None
    source: str | None = None
    expires_at: float | None = None

    @property
    def text(self) -> str:
        """The value as text: itself, or its JSON."""
        return text_of(self.value)


class NewMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be remembered; the fields are those of MemoryEntry."""

    value: Any
    key: str | None = None
    tags: tuple[str, ...] = ()
    importance: float = 0.5
    subject: str | None = None
    source: str | None = None
    expires_at: float | None = None


class Relation(msgspec.Struct, frozen=True, kw_only=True, tag="relation"):
    """A directed edge from one entry to another, by their ids."""

    source: str
    kind: str
    target: str
    created_at: float


MemoryRecord = MemoryEntry | Relation
"""A line of an export."""


class MemoryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one space may hold; None means no limit.

    `max_age` is in seconds since an entry was made. Over `max_entries` or `max_bytes` the least important entries go
    first, among them those longest unused.
    """

    max_entries: int | None = None
    max_bytes: int | None = None
    max_age: float | None = None


class MemoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are meant: those that meet every condition given.

    `spaces` None means all of them, which is for operators alone; an empty tuple means nothing. `tags` have all to be
    there. Times are half-open: from `…_from` on, before `…_until`. Expired entries are never meant, unless `expired`.
    """

    spaces: tuple[MemorySpace, ...] | None
    ids: tuple[str, ...] | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    subject: str | None = None
    created_from: float | None = None
    created_until: float | None = None
    used_from: float | None = None
    used_until: float | None = None
    min_importance: float | None = None
    expired: bool = False

    @property
    def narrows(self) -> bool:
        """Whether anything but the space is asked for."""
        return self != MemoryFilter(spaces=self.spaces)


class SearchMode(StrEnum):
    """By the words that are in it, by meaning, or by both."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    HYBRID = "hybrid"


class MemoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search: the `limit` best entries within the filter."""

    text: str
    filter: MemoryFilter
    mode: SearchMode = SearchMode.HYBRID
    limit: int = 10


class MemoryHit(msgspec.Struct, frozen=True, kw_only=True):
    """An entry found. `score` orders the hits of one search; `similarity` is the cosine of the meanings, if known."""

    entry: MemoryEntry
    score: float
    similarity: float | None


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Hits, best first. `warning` says what the search had to do without, empty where it was whole."""

    hits: tuple[MemoryHit, ...]
    warning: str = ""


class Related(msgspec.Struct, frozen=True, kw_only=True):
    """An entry reached over relations: `kinds` are those on a shortest way there, `hops` how many."""

    entry: MemoryEntry
    hops: int
    kinds: tuple[str, ...]


class MemoryStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the memory holds. `pending` entries have no meaning of the current model yet; words find them already.

    `error` says why embedding does not go on, empty where it does.
    """

    entries: int
    bytes: int
    spaces: int
    embedded: int
    pending: int
    model: str
    dimension: int | None
    error: str = ""


def text_of(value: Any) -> str:
    """A JSON value as text: a string is itself, anything else its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
