"""Entries as rows of the embedded database. Each function is part of a transaction."""

from collections.abc import Container
from typing import Any

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.memory import MemoryEntry, MemoryLimits, MemorySpace
from caxton.domain.ports.database import Session
from caxton.memory.checks import Prepared, searched_text
from caxton.memory.filters import SPACE

COLUMNS = """
e.seq, e.id, s.scope, s.owner, e.value, e.created_at, e.updated_at, e.used_at, e.key, e.tags, e.importance, e.subject,
e.source, e.expires_at
"""
SELECT = f"SELECT {COLUMNS} FROM memory_entries AS e JOIN memory_spaces AS s ON s.id = e.space "  # noqa: S608
# Cross joins keep SQLite from walking through whole spaces in search of a few entries that are given by seq.
SELECT_THESE = f"""
SELECT {COLUMNS} FROM json_each(?) AS these CROSS JOIN memory_entries AS e ON e.seq = these.value
CROSS JOIN memory_spaces AS s ON s.id = e.space
"""  # noqa: S608 - made of constants
MAKE_SPACE = "INSERT INTO memory_spaces (scope, owner) VALUES (?, ?) RETURNING id"
BY_KEY = "SELECT seq, id, created_at FROM memory_entries WHERE space = ? AND key = ?"
ADD = """
INSERT INTO memory_entries (id, space, key, value, tags, importance, subject, source, created_at, updated_at, used_at,
    expires_at, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq
"""
REPLACE = """
UPDATE memory_entries SET value = ?, tags = ?, importance = ?, subject = ?, source = ?, updated_at = ?, used_at = ?,
    expires_at = ?, size = ?, revision = revision + 1 WHERE seq = ?
"""
UNTAG = "DELETE FROM memory_tags WHERE entry = ?"
TAG = "INSERT INTO memory_tags (space, tag, entry) VALUES (?, ?, ?)"
UNWORD = "DELETE FROM memory_words WHERE rowid = ?"
WORD = "INSERT INTO memory_words (rowid, text, space) VALUES (?, ?, ?)"
UNVECTOR = "DELETE FROM memory_vectors WHERE entry = ?"
VECTOR = "INSERT INTO memory_vectors (entry, space, model, vector) VALUES (?, ?, ?, ?)"

EXPIRED = "DELETE FROM memory_entries WHERE space = ? AND expires_at <= ? RETURNING seq"
AGED = "DELETE FROM memory_entries WHERE space = ? AND created_at < ? RETURNING seq"
HELD = "SELECT entries, bytes FROM memory_spaces WHERE id = ?"
LEAST = "SELECT seq, size FROM memory_entries WHERE space = ? ORDER BY importance, used_at, seq LIMIT ?"
DELETE = "DELETE FROM memory_entries WHERE seq = ?"
STEP = 256
"""Entries looked at together when a space is over its bytes."""


def space_id(session: Session, space: MemorySpace) -> int:
    """The id of a space, made if need be."""
    names = (space.scope.value, space.owner)
    rows = session.execute(SPACE, names) or session.execute(MAKE_SPACE, names)
    found: int = rows[0][0]
    return found


def put(session: Session, entry: MemoryEntry, given: Prepared) -> tuple[int, int, MemoryEntry]:
    """Store an entry with its tags and words, in place of the one of its key; its seq, its space's id and itself."""
    space = space_id(session, entry.space)
    known = session.execute(BY_KEY, (space, entry.key)) if entry.key is not None else []
    tags = msgspec.json.encode(entry.tags).decode()
    seq: int
    if known:
        seq, id, created_at = known[0]
        entry = msgspec.structs.replace(entry, id=id, created_at=created_at)
        changed = (given.json, tags, entry.importance, entry.subject, entry.source, entry.updated_at, entry.used_at)
        session.execute(REPLACE, (*changed, entry.expires_at, given.size, seq))
        for forget in (UNTAG, UNWORD, UNVECTOR):
            session.execute(forget, (seq,))
    else:
        row = (entry.id, space, entry.key, given.json, tags, entry.importance, entry.subject, entry.source)
        times = (entry.created_at, entry.updated_at, entry.used_at, entry.expires_at)
        ((seq,),) = session.execute(ADD, (*row, *times, given.size))
    for tag in entry.tags:
        session.execute(TAG, (space, tag, seq))
    put_words(session, seq, space, given.searched)
    return seq, space, entry


def put_words(session: Session, seq: int, space: int, searched: str) -> None:
    session.execute(WORD, (seq, searched, f"s{space}"))


def put_vector(session: Session, seq: int, space: int, model: int, vector: bytes) -> None:
    """`vector` is in half precision. What the entry had before has to be gone."""
    session.execute(VECTOR, (seq, space, model, vector))


def trim(session: Session, space: int, limits: MemoryLimits, now: float, *, spare: Container[int] = ()) -> int:
    """Delete what is expired, too old, or beyond the limits, but never the seqs in `spare`; how many entries."""
    gone = len(session.execute(EXPIRED, (space, now)))
    if limits.max_age is not None:
        gone += len(session.execute(AGED, (space, now - limits.max_age)))
    for entries, bytes_ in session.execute(HELD, (space,)):
        too_many = entries - limits.max_entries if limits.max_entries is not None else 0
        too_large = bytes_ - limits.max_bytes if limits.max_bytes is not None else 0
        while too_many > 0 or too_large > 0:
            least = session.execute(LEAST, (space, max(too_many, STEP)))
            unspared = [row for row in least if row[0] not in spare]
            if not unspared:
                break
            for seq, size in unspared:
                if too_many > 0 or too_large > 0:
                    session.execute(DELETE, (seq,))
                    too_many, too_large, gone = too_many - 1, too_large - size, gone + 1
    return gone


def entry_from(row: tuple[Any, ...]) -> MemoryEntry:
    """A row of SELECT as an entry."""
    _, id, scope, owner, value, created_at, updated_at, used_at, key, tags, importance, subject, source, expires = row
    return MemoryEntry(
        id=id,
        space=MemorySpace(scope=MemoryScope(scope), owner=owner),
        value=msgspec.json.decode(value),
        created_at=created_at,
        updated_at=updated_at,
        used_at=used_at,
        key=key,
        tags=tuple(msgspec.json.decode(tags)),
        importance=importance,
        subject=subject,
        source=source,
        expires_at=expires,
    )


def searched_from(key: str | None, value: str) -> str:
    """What a stored entry is found by, from its key and its value as JSON."""
    return searched_text(key, msgspec.json.decode(value))
