"""Which rows a filter means."""

from collections.abc import Sequence

import msgspec

from caxton.domain.memory import MemoryFilter, MemorySpace
from caxton.domain.ports.database import Session, SqlValue

SPACE = "SELECT id FROM memory_spaces WHERE scope = ? AND owner = ?"
TAGGED = "e.seq IN (SELECT entry FROM memory_tags WHERE {spaces} AND tag = ?)"
COMPARED = (
    ("key", "e.key = ?"),
    ("subject", "e.subject = ?"),
    ("created_from", "e.created_at >= ?"),
    ("created_until", "e.created_at < ?"),
    ("used_from", "e.used_at >= ?"),
    ("used_until", "e.used_at < ?"),
    ("min_importance", "e.importance >= ?"),
)


class Where(msgspec.Struct, frozen=True):
    """A condition on `memory_entries AS e`, its parameters, and the ids of the spaces, None for all."""

    sql: str
    values: tuple[SqlValue, ...]
    spaces: tuple[int, ...] | None


def space_ids(session: Session, spaces: Sequence[MemorySpace]) -> tuple[int, ...]:
    """The ids of those spaces that hold anything."""
    rows = [session.execute(SPACE, (space.scope.value, space.owner)) for space in spaces]
    return tuple(sorted({row[0][0] for row in rows if row}))


def in_spaces(column: str, ids: Sequence[int] | None) -> str:
    """A condition that holds for these spaces. The ids are numbers of our own, fit to stand in SQL."""
    return "1" if ids is None else f"{column} IN ({', '.join(map(str, ids))})"


def where(session: Session, filter: MemoryFilter, now: float) -> Where:
    ids = None if filter.spaces is None else space_ids(session, filter.spaces)
    # Where a condition leaves few entries, those are looked at, and not the spaces whole: the plus hides their index.
    few = filter.ids is not None or filter.tags or filter.subject is not None
    conditions = [in_spaces("+e.space" if few else "e.space", ids)]
    values: list[SqlValue] = []
    if filter.ids is not None:
        conditions.append("e.id IN (SELECT value FROM json_each(?))")
        values.append(msgspec.json.encode(filter.ids).decode())
    for tag in filter.tags:
        conditions.append(TAGGED.format(spaces=in_spaces("space", ids)))
        values.append(tag)
    for name, condition in COMPARED:
        if (value := getattr(filter, name)) is not None:
            conditions.append(condition)
            values.append(value)
    if not filter.expired:
        conditions.append("(e.expires_at IS NULL OR e.expires_at > ?)")
        values.append(now)
    return Where(" AND ".join(conditions), tuple(values), ids)
