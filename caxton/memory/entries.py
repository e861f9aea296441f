"""Reading, deleting and carrying over entries. Each function is part of a transaction."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryRecord, MemorySpace, NewMemory, Relation
from caxton.domain.ports.database import Session
from caxton.memory.checks import Prepared, prepared
from caxton.memory.filters import space_ids, where
from caxton.memory.relations import DRAW, relations_of
from caxton.memory.rows import BY_KEY, SELECT, entry_from, put

BY_ITS_KEY = SELECT + "WHERE e.space = ? AND e.key = ? AND (e.expires_at IS NULL OR e.expires_at > ?)"
NEWEST = SELECT + "WHERE {where} AND {before} ORDER BY e.created_at DESC, e.seq DESC LIMIT ?"
BEFORE = "(e.created_at, e.seq) < (SELECT created_at, seq FROM memory_entries WHERE id = ?)"
OLDEST = SELECT + "WHERE {where} AND e.seq > ? ORDER BY e.seq LIMIT ?"
USED = "UPDATE memory_entries SET used_at = max(used_at, ?) WHERE id IN (SELECT value FROM json_each(?))"
FORGET = """
DELETE FROM memory_entries WHERE seq IN (SELECT e.seq FROM memory_entries AS e WHERE {where}) RETURNING seq
"""
SEQ = "SELECT seq FROM memory_entries WHERE id = ?"
SCRUB = "INSERT INTO memory_words (memory_words) VALUES ('optimize')"


class Page(NamedTuple):
    """A part of an export: entries, the relations from them, and the seq to go on after, None at the end."""

    entries: list[MemoryEntry]
    relations: list[Relation]
    after: int | None


def new_entry(id: str, space: MemorySpace, given: Prepared, now: float) -> MemoryEntry:
    new = given.new
    return MemoryEntry(
        id=id,
        space=space,
        value=given.value,
        created_at=now,
        updated_at=now,
        used_at=now,
        key=new.key,
        tags=new.tags,
        importance=new.importance,
        subject=new.subject,
        source=new.source,
        expires_at=new.expires_at,
    )


def get(session: Session, space: MemorySpace, key: str, now: float) -> MemoryEntry | None:
    for id in space_ids(session, [space]):
        for row in session.execute(BY_ITS_KEY, (id, key, now)):
            return entry_from(row)
    return None


def newest(session: Session, filter: MemoryFilter, now: float, limit: int, before: str | None) -> list[MemoryEntry]:
    meant = where(session, filter, now)
    sql = NEWEST.format(where=meant.sql, before=BEFORE if before else "1")
    rows = session.execute(sql, (*meant.values, *([before] if before else []), limit))
    return [entry_from(row) for row in rows]


def page(session: Session, filter: MemoryFilter, now: float, after: int, limit: int) -> Page:
    """The next entries in the order in which they were stored."""
    meant = where(session, filter, now)
    rows = session.execute(OLDEST.format(where=meant.sql), (*meant.values, after, limit))
    found = [entry_from(row) for row in rows]
    edges = [relation for row in rows for relation in relations_of(session, row[0])]
    return Page(found, edges, rows[-1][0] if len(rows) == limit else None)


def used(session: Session, ids: Sequence[str], now: float) -> None:
    session.execute(USED, (now, msgspec.json.encode(ids).decode()))


def forget(session: Session, filter: MemoryFilter, now: float) -> int:
    """Delete what is meant. Of a person's or a conversation's not a word is left in the index of words either.

    That takes longer, and is not done for everything else.
    """
    meant = where(session, filter, now)
    gone = len(session.execute(FORGET.format(where=meant.sql), meant.values))
    talks = any(space.scope is MemoryScope.SESSION for space in filter.spaces or ())
    if gone and (filter.subject is not None or talks):
        session.execute(SCRUB)
    return gone


def as_new(entry: MemoryEntry) -> NewMemory:
    """What has to be remembered for such an entry."""
    return NewMemory(**{name: getattr(entry, name) for name in NewMemory.__struct_fields__})


def checked(records: Iterable[MemoryRecord]) -> list[tuple[MemoryRecord, Prepared | None]]:
    """Records fit to be stored, entries first; CaxtonError `memory_invalid`."""
    whole = list(records)
    entries = [one for one in whole if isinstance(one, MemoryEntry)]
    relations = [one for one in whole if isinstance(one, Relation)]
    fit = [prepared(as_new(entry)) for entry in entries]
    return [*zip(entries, fit, strict=True), *((relation, None) for relation in relations)]


def restore(session: Session, records: Sequence[tuple[MemoryRecord, Prepared | None]]) -> int:
    """Store what is not there yet; how many records were new."""
    new = 0
    for record, given in records:
        if isinstance(record, Relation):
            ends = [session.execute(SEQ, (id,)) for id in (record.source, record.target)]
            if all(ends):
                source, target = (rows[0][0] for rows in ends)
                new += len(session.execute(DRAW, (source, record.kind, target, record.created_at)))
        elif given and not session.execute(SEQ, (record.id,)) and not _key_taken(session, record):
            put(session, record, given)
            new += 1
    return new


def ends(records: Iterable[tuple[MemoryRecord, Prepared | None]]) -> list[str]:
    """The ids of the entries that records are, or have for ends."""
    ids: dict[str, None] = {}
    for record, _ in records:
        ids |= dict.fromkeys([record.id] if isinstance(record, MemoryEntry) else [record.source, record.target])
    return list(ids)


def _key_taken(session: Session, entry: MemoryEntry) -> bool:
    return entry.key is not None and any(
        session.execute(BY_KEY, (id, entry.key)) for id in space_ids(session, [entry.space])
    )
