"""Groups and their participants in the embedded database."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from caxton.bus.stores.counts import count_in
from caxton.bus.stores.history import UNCOUNTED
from caxton.domain.conversation import Departed, Group, History, Order, Participant, ParticipantKind
from caxton.domain.ports.database import Database, Session

COLUMNS = "id, title, metadata, history, speaking, idle, created_at, closed_at"
CREATE = """
INSERT INTO conversation_groups (id, title, metadata, history, speaking, idle, created_at, closed_at, active_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq
"""
FIND = f"SELECT {COLUMNS} FROM conversation_groups WHERE id = ?"  # noqa: S608 - made of constants
NOW = """
SELECT participant, kind, joined_at, left_at FROM participations
WHERE conversation_id = ? AND left_at IS NULL ORDER BY seq
"""
EVER = "SELECT participant, kind, joined_at, left_at FROM participations WHERE conversation_id = ? ORDER BY seq"
JOIN = """
INSERT INTO participations (conversation_id, participant, kind, joined_at)
SELECT id, ?, ?, ? FROM conversation_groups WHERE id = ? ON CONFLICT DO NOTHING RETURNING seq
"""
LEAVE = """
UPDATE participations SET left_at = ? WHERE conversation_id = ? AND participant = ? AND left_at IS NULL RETURNING seq
"""
ACTIVE = "UPDATE conversation_groups SET active_at = max(active_at, ?) WHERE id = ?"
CLOSE = "UPDATE conversation_groups SET closed_at = ? WHERE id = ? AND closed_at IS NULL"
REOPEN = "UPDATE conversation_groups SET closed_at = NULL, active_at = ? WHERE id = ? AND closed_at IS NOT NULL"
OF = f"""
SELECT {COLUMNS} FROM conversation_groups
WHERE id IN (SELECT conversation_id FROM participations WHERE participant = ? AND left_at IS NULL)
    AND seq < coalesce((SELECT seq FROM conversation_groups WHERE id = ?), CASE WHEN ? IS NULL THEN {2**62} ELSE 0 END)
ORDER BY seq DESC LIMIT ?
"""  # noqa: S608
SILENT = f"""
SELECT {COLUMNS} FROM conversation_groups
WHERE closed_at IS NULL AND id NOT IN (SELECT id FROM conversations) ORDER BY seq DESC LIMIT ?
"""  # noqa: S608
# `updated_at` is when somebody spoke last, as far as it is counted. Where neither has an idle time the condition is
# NULL, which finds nothing.
IDLE = """
closed_at IS NULL AND ?1 - coalesce(idle, ?2) >= max(
    active_at, coalesce((SELECT updated_at FROM conversations WHERE id = conversation_groups.id), 0)
)
"""
PERHAPS_IDLE = f"SELECT 1 FROM conversation_groups WHERE {IDLE} LIMIT 1"  # noqa: S608
CLOSE_IDLE = f"UPDATE conversation_groups SET closed_at = ?1 WHERE {IDLE} RETURNING id"  # noqa: S608
FORGET_DEPARTED = "DELETE FROM participations WHERE conversation_id = ? AND left_at IS NOT NULL"
ERASE = "DELETE FROM conversation_groups WHERE id = ? RETURNING seq"
ERASE_PARTICIPATIONS = "DELETE FROM participations WHERE conversation_id = ? RETURNING participant, kind"
FORGET = "DELETE FROM participations WHERE participant = ? AND kind = 'person' RETURNING seq"


class SqliteGroupStore:
    """Implements `ports.conversations.GroupStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, group: Group) -> bool:
        row = (
            group.id,
            group.title,
            msgspec.json.encode(group.metadata).decode(),
            group.history.value,
            group.order.value,
            group.idle,
            group.created_at,
            group.closed_at,
            group.created_at,
        )

        def work(session: Session) -> bool:
            if not session.execute(CREATE, row):
                return False
            for one in group.participants:
                session.execute(JOIN, (one.name, one.kind.value, one.joined_at, group.id))
            return True

        return await self._database.write(work)

    def find(self, id: str) -> Group | None:
        def work(session: Session) -> Group | None:
            rows = session.execute(FIND, (id,))
            return _group(session, rows[0]) if rows else None

        return self._database.read(work)

    async def join(self, id: str, participant: Participant) -> bool:
        def work(session: Session) -> bool:
            joined = session.execute(JOIN, (participant.name, participant.kind.value, participant.joined_at, id))
            session.execute(ACTIVE, (participant.joined_at, id))
            return bool(joined)

        return await self._database.write(work)

    async def leave(self, id: str, name: str, at: float) -> bool:
        return bool(await self._database.write(lambda session: session.execute(LEAVE, (at, id, name))))

    async def close(self, id: str, at: float) -> None:
        await self._database.write(lambda session: session.execute(CLOSE, (at, id)))

    async def reopen(self, id: str, at: float) -> None:
        await self._database.write(lambda session: session.execute(REOPEN, (at, id)))

    async def participations(self, id: str) -> list[Participant]:
        return await self._database.scan(lambda session: list(_participants(session.execute(EVER, (id,)))))

    async def of(self, name: str, *, limit: int, before: str | None = None) -> list[Group]:
        def work(session: Session) -> list[Group]:
            return [_group(session, row) for row in session.execute(OF, (name, before, before, limit))]

        return await self._database.scan(work)

    async def silent(self, *, limit: int) -> list[Group]:
        if self._database.read(lambda session: session.execute(UNCOUNTED)):
            await self._database.write(count_in)
        return await self._database.scan(
            lambda session: [_group(session, row) for row in session.execute(SILENT, (limit,))]
        )

    async def close_idle(self, now: float, *, idle: float | None) -> list[str]:
        def work(session: Session) -> list[str]:
            count_in(session)
            return sorted(id for (id,) in session.execute(CLOSE_IDLE, (now, idle)))

        # Looked at before anything is written: mostly none of them is idle.
        if not await self._database.scan(lambda session: session.execute(PERHAPS_IDLE, (now, idle))):
            return []
        return await self._database.write(work)

    async def forget_departed(self, id: str) -> None:
        await self._database.write(lambda session: session.execute(FORGET_DEPARTED, (id,)))

    async def erase(self, id: str) -> bool:
        def work(session: Session) -> bool:
            session.execute(ERASE_PARTICIPATIONS, (id,))
            return bool(session.execute(ERASE, (id,)))

        return await self._database.write(work)

    async def forget(self, person: str, conversations: Collection[str]) -> Departed:
        def work(session: Session) -> Departed:
            gone = []
            count = 0
            for id in conversations:
                count += session.execute(ERASE_PARTICIPATIONS, (id,)).count((person, ParticipantKind.PERSON.value))
                if session.execute(ERASE, (id,)):
                    gone.append(id)
            count += len(session.execute(FORGET, (person,)))
            return Departed(groups=tuple(gone), participations=count)

        return await self._database.write(work)


def _group(session: Session, row: tuple[Any, ...]) -> Group:
    id, title, metadata, history, speaking, idle, created_at, closed_at = row
    return Group(
        id=id,
        title=title,
        metadata=msgspec.json.decode(metadata),
        history=History(history),
        order=Order(speaking),
        idle=idle,
        created_at=created_at,
        closed_at=closed_at,
        participants=_participants(session.execute(NOW, (id,))),
    )


def _participants(rows: Sequence[tuple[Any, ...]]) -> tuple[Participant, ...]:
    return tuple(
        Participant(name=name, kind=ParticipantKind(kind), joined_at=joined, left_at=left)
        for name, kind, joined, left in rows
    )
