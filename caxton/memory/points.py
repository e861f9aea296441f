"""Entries and relations as points of Qdrant, and filters as its conditions.

All of a memory is one collection: `kind` tells entries from relations. An entry's dense vector is called `meaning`, its
sparse one, of the words in it, `words`. A point's id is made from the entry's, which need not be a UUID.
"""

import uuid
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from qdrant_client import models

from caxton.domain.memory import MemoryEntry, MemoryFilter, Relation
from caxton.memory.checks import Prepared
from caxton.memory.tokens import order_of, space_name, space_of, tokens

MEANING, WORDS = "meaning", "words"
ENTRY, RELATION = "entry", "relation"
NEVER = 1e15
"""When an entry expires that does not."""
NAMESPACE = uuid.UUID("6f1d4c52-6a57-5b0e-9a34-1f2f6d1c9f10")
K1, B, USUAL = 1.2, 0.75, 32
"""BM25's constants, and how many words a text is taken to have on average; Qdrant knows the words' rarity itself."""
INDEXES = {
    "kind": "keyword", "space": "keyword", "key": "keyword", "subject": "keyword", "tags": "keyword",
    "words": "keyword", "model": "keyword", "source": "keyword", "target": "keyword", "order": "integer",
    "created_at": "float", "used_at": "float", "expires_at": "float", "importance": "float",
}  # fmt: skip
"""Fields that are filtered or ordered by."""


def point_id(*parts: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "\0".join(parts)))


def sparse(words: Sequence[str], *, query: bool = False) -> models.SparseVector:
    """Words as a vector: a query's count alike, a text's by how often they are in it and how long it is (BM25)."""
    length = K1 * (1 - B + B * len(words) / USUAL)
    weights: dict[int, float] = {}
    for word, count in Counter(words).items():
        weight = 1.0 if query else count * (K1 + 1) / (count + length)
        place = zlib.crc32(word.encode())
        weights[place] = max(weight, weights.get(place, 0.0))
    return models.SparseVector(indices=list(weights), values=list(weights.values()))


def entry_point(entry: MemoryEntry, given: Prepared, vector: Sequence[float] | None, model: str) -> models.PointStruct:
    words = tokens(given.searched)
    payload = {
        "kind": ENTRY,
        "id": entry.id,
        "space": space_name(entry.space),
        "key": entry.key,
        "value": given.json,
        "searched": given.searched,
        "words": list(dict.fromkeys(words)),
        "tags": list(entry.tags),
        "importance": entry.importance,
        "subject": entry.subject,
        "source_id": entry.source,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "used_at": entry.used_at,
        "expires_at": NEVER if entry.expires_at is None else entry.expires_at,
        "size": given.size,
        "order": order_of(entry),
        "model": model if vector is not None else "",
        "stale": False,
    }
    vectors: dict[str, Any] = {WORDS: sparse(words)}
    if vector is not None:
        vectors[MEANING] = list(vector)
    return models.PointStruct(id=point_id(entry.id), vector=vectors, payload=payload)


def entry_from(payload: dict[str, Any]) -> MemoryEntry:
    return MemoryEntry(
        id=payload["id"],
        space=space_of(payload["space"]),
        value=msgspec.json.decode(payload["value"]),
        created_at=payload["created_at"],
        updated_at=payload["updated_at"],
        used_at=payload["used_at"],
        key=payload["key"],
        tags=tuple(payload["tags"]),
        importance=payload["importance"],
        subject=payload["subject"],
        source=payload["source_id"],
        expires_at=None if payload["expires_at"] == NEVER else payload["expires_at"],
    )


def relation_point(relation: Relation) -> models.PointStruct:
    payload = {
        "kind": RELATION,
        "source": relation.source,
        "relation": relation.kind,
        "target": relation.target,
        "created_at": relation.created_at,
    }
    return models.PointStruct(id=relation_id(relation), vector={}, payload=payload)


def relation_id(relation: Relation) -> str:
    return point_id(relation.source, relation.kind, relation.target)


def at(relation: Relation) -> models.Filter:
    """The point of a relation."""
    return models.Filter(must=[models.HasIdCondition(has_id=[relation_id(relation)])])


def relation_from(payload: dict[str, Any]) -> Relation:
    return Relation(
        source=payload["source"],
        kind=payload["relation"],
        target=payload["target"],
        created_at=payload["created_at"],
    )


def equals(key: str, value: str | bool) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def one_of(key: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def between(
    key: str, *, gte: float | None = None, lt: float | None = None, gt: float | None = None, lte: float | None = None
) -> models.FieldCondition:
    return models.FieldCondition(key=key, range=models.Range(gte=gte, lt=lt, gt=gt, lte=lte))


def meant(filter: MemoryFilter, now: float, *more: Any) -> models.Filter:
    """The entries that a filter means. That of no spaces means none of them."""
    conditions: list[Any] = [equals("kind", ENTRY), *more]
    if filter.spaces is not None:
        conditions.append(one_of("space", [space_name(space) for space in filter.spaces]))
    if filter.ids is not None:
        conditions.append(models.HasIdCondition(has_id=[point_id(id) for id in filter.ids]))
    conditions += [equals("tags", tag) for tag in filter.tags]
    for name in ("key", "subject"):
        if (value := getattr(filter, name)) is not None:
            conditions.append(equals(name, value))
    for name in ("created", "used"):
        begin, end = getattr(filter, f"{name}_from"), getattr(filter, f"{name}_until")
        if begin is not None or end is not None:
            conditions.append(between(f"{name}_at", gte=begin, lt=end))
    if filter.min_importance is not None:
        conditions.append(between("importance", gte=filter.min_importance))
    if not filter.expired:
        conditions.append(between("expires_at", gt=now))
    return models.Filter(must=conditions)
