"""Edges between entries, and walks along them. Each function is part of a transaction."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MAX_HOPS, MemoryFilter, MemorySpace, Related, Relation
from caxton.domain.ports.database import Session
from caxton.memory.checks import check_name, invalid
from caxton.memory.filters import Where, where
from caxton.memory.rows import SELECT_THESE, entry_from

Node = TypeVar("Node")

WALKED = 20_000
"""Steps of one walk at most; a hub with more neighbours than that is not walked through to the end."""

FIND = "SELECT e.seq FROM memory_entries AS e WHERE e.id = ? AND {where}"
DRAW = """
INSERT INTO memory_relations (source, kind, target, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT (source, kind, target) DO NOTHING RETURNING kind
"""
ERASE = "DELETE FROM memory_relations WHERE source = ? AND kind = ? AND target = ? RETURNING kind"
WALK = """
WITH RECURSIVE reached (entry, hops) AS (
    VALUES (?, 0)
    UNION
    SELECT r.target, reached.hops + 1 FROM reached
        JOIN memory_relations AS r ON r.source = reached.entry
        JOIN memory_entries AS e ON e.seq = r.target
        WHERE reached.hops < ? AND {kinds} AND {where}
    UNION
    SELECT r.source, reached.hops + 1 FROM reached
        JOIN memory_relations AS r ON r.target = reached.entry
        JOIN memory_entries AS e ON e.seq = r.source
        WHERE reached.hops < ? AND {kinds} AND {where}
    LIMIT ?
)
SELECT entry, min(hops) FROM reached GROUP BY entry ORDER BY 2, 1
"""
KINDS = "r.kind IN (SELECT value FROM json_each(?))"
AMONG = """
SELECT source, kind, target FROM memory_relations AS r
WHERE source IN (SELECT value FROM json_each(?)) AND target IN (SELECT value FROM json_each(?)) AND {kinds}
"""
EXPORTED = """
SELECT one.id, r.kind, other.id, r.created_at FROM memory_relations AS r
JOIN memory_entries AS one ON one.seq = r.source JOIN memory_entries AS other ON other.seq = r.target
WHERE r.source = ? ORDER BY r.kind, other.id
"""


def relate(session: Session, spaces: Sequence[MemorySpace], source: str, kind: str, target: str, now: float) -> None:
    check_name("kind of relation", kind)
    if source == target:
        raise invalid(f"The entry {source!r} cannot be related to itself.")
    allowed = where(session, MemoryFilter(spaces=tuple(spaces)), now)
    session.execute(DRAW, (_seq(session, source, allowed), kind, _seq(session, target, allowed), now))


def unrelate(session: Session, spaces: Sequence[MemorySpace], source: str, kind: str, target: str, now: float) -> bool:
    allowed = where(session, MemoryFilter(spaces=tuple(spaces)), now)
    return bool(session.execute(ERASE, (_seq(session, source, allowed), kind, _seq(session, target, allowed))))


def related(
    session: Session,
    spaces: Sequence[MemorySpace],
    id: str,
    *,
    hops: int,
    kinds: Sequence[str],
    limit: int,
    now: float,
) -> list[Related]:
    if not 1 <= hops <= MAX_HOPS:
        raise invalid(f"A walk has 1 to {MAX_HOPS} hops; {hops!r} were asked for.")
    allowed = where(session, MemoryFilter(spaces=tuple(spaces)), now)
    start = _seq(session, id, allowed)
    condition, chosen = (KINDS, (msgspec.json.encode(kinds).decode(),)) if kinds else ("1", ())
    step = (hops, *chosen, *allowed.values)
    rows = session.execute(WALK.format(kinds=condition, where=allowed.sql), (start, *step, *step, WALKED))
    nearest = [(seq, far) for seq, far in rows if seq != start][:limit]
    among = msgspec.json.encode([start, *(seq for seq, _ in rows)]).decode()
    there = ways(start, session.execute(AMONG.format(kinds=condition), (among, among, *chosen)))
    wanted = msgspec.json.encode([seq for seq, _ in nearest]).decode()
    entries = {row[0]: entry_from(row) for row in session.execute(SELECT_THESE, (wanted,))}
    return [Related(entry=entries[seq], hops=far, kinds=there[seq]) for seq, far in nearest if seq in entries]


def relations_of(session: Session, seq: int) -> list[Relation]:
    """The edges from an entry."""
    rows = session.execute(EXPORTED, (seq,))
    return [Relation(source=source, kind=kind, target=target, created_at=at) for source, kind, target, at in rows]


def _seq(session: Session, id: str, allowed: Where) -> int:
    rows = session.execute(FIND.format(where=allowed.sql), (id, *allowed.values))
    if not rows:
        raise CaxtonError(Code.MEMORY_NOT_FOUND, f"There is no memory {id!r} here.")
    seq: int = rows[0][0]
    return seq


def ways(start: Node, edges: Iterable[Sequence[Any]]) -> dict[Node, tuple[str, ...]]:
    """The kinds of edges (source, kind, target) on a shortest way from `start` to each entry."""
    neighbours: dict[Node, list[tuple[Node, str]]] = {}
    for source, kind, target in edges:
        neighbours.setdefault(source, []).append((target, kind))
        neighbours.setdefault(target, []).append((source, kind))
    found: dict[Node, tuple[str, ...]] = {start: ()}
    ahead: deque[Node] = deque([start])
    while ahead:
        here = ahead.popleft()
        for other, kind in neighbours.get(here, ()):
            if other not in found:
                found[other] = (*found[here], kind)
                ahead.append(other)
    return found
