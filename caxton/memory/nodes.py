"""Entries as nodes of Neo4j, and filters as conditions of Cypher.

An entry is a node whose label is the collection's name; a relation is a relationship of the type RELATED, with its
`kind` and `created_at`. `words` are an entry's words in order, `place` a word that stands for its space: both are in
the full-text index.
"""

import hashlib
from typing import Any

import msgspec

from caxton.domain.memory import MemoryEntry, MemoryFilter, MemorySpace
from caxton.memory.checks import Prepared
from caxton.memory.tokens import order_of, space_name, space_of, tokens

NAMES = (
    "id", "space", "key", "value", "tags", "importance", "subject", "source", "created_at", "updated_at", "used_at",
    "expires_at",
)  # fmt: skip
ENTRY = f"m {{{', '.join(f'.{name}' for name in NAMES)}}}"
"""The entry of the node `m`, without what it is found by."""
ALIVE = "({0}.expires_at IS NULL OR {0}.expires_at > $now)"
IN_ORDER = "m.order, m.id"
"""The order of their making: ids from elsewhere may share a place in it."""
COMPARED = (
    ("key", "m.key = $key"),
    ("subject", "m.subject = $subject"),
    ("created_from", "m.created_at >= $created_from"),
    ("created_until", "m.created_at < $created_until"),
    ("used_from", "m.used_at >= $used_from"),
    ("used_until", "m.used_at < $used_until"),
    ("min_importance", "m.importance >= $min_importance"),
)

Values = dict[str, Any]


class Where(msgspec.Struct, frozen=True):
    """A condition on the node `m`, and its parameters."""

    text: str
    values: Values

    def of(self, statement: str) -> str:
        """The statement with the condition where it says CONDITION."""
        return statement.replace("CONDITION", self.text)


def where(filter: MemoryFilter, now: float, *more: str) -> Where:
    """The entries that a filter means, and that meet `more`. That of no spaces means none of them."""
    conditions = list(more)
    values: Values = {"now": now}
    if filter.spaces is not None:
        conditions.append("m.space IN $spaces")
        values["spaces"] = [space_name(space) for space in filter.spaces]
    if filter.ids is not None:
        conditions.append("m.id IN $ids")
        values["ids"] = list(filter.ids)
    for number, tag in enumerate(filter.tags):
        conditions.append(f"$tag{number} IN m.tags")
        values[f"tag{number}"] = tag
    for name, condition in COMPARED:
        if (value := getattr(filter, name)) is not None:
            conditions.append(condition)
            values[name] = value
    if not filter.expired:
        conditions.append(ALIVE.format("m"))
    return Where(" AND ".join(conditions) or "true", values)


def place_of(space: MemorySpace) -> str:
    """One word for a space: its name may hold anything."""
    return f"s{hashlib.blake2b(space_name(space).encode(), digest_size=16).hexdigest()}"


def node_from(entry: MemoryEntry, given: Prepared) -> Values:
    """The properties of an entry's node, but for its vector and the model of that."""
    return {
        "id": entry.id,
        "space": space_name(entry.space),
        "place": place_of(entry.space),
        "key": entry.key,
        "value": given.json,
        "searched": given.searched,
        "words": " ".join(tokens(given.searched)),
        "tags": list(entry.tags),
        "importance": entry.importance,
        "subject": entry.subject,
        "source": entry.source,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "used_at": entry.used_at,
        "expires_at": entry.expires_at,
        "size": given.size,
        "order": order_of(entry),
        "stale": False,
    }


def entry_from(node: Values) -> MemoryEntry:
    """The entry of what ENTRY gives."""
    return MemoryEntry(
        id=node["id"],
        space=space_of(node["space"]),
        value=msgspec.json.decode(node["value"]),
        created_at=node["created_at"],
        updated_at=node["updated_at"],
        used_at=node["used_at"],
        key=node.get("key"),
        tags=tuple(node["tags"]),
        importance=node["importance"],
        subject=node.get("subject"),
        source=node.get("source"),
        expires_at=node.get("expires_at"),
    )
