"""What keeps the messages in the embedded database from growing without end."""

from collections.abc import Collection, Sequence
from typing import Any

from caxton.bus.stores.commits import BURY
from caxton.bus.stores.counts import count_in, count_out
from caxton.bus.stores.dead_letters import STEP
from caxton.bus.stores.rows import decode, json_text, stored
from caxton.domain.delivery import Failure
from caxton.domain.errors import ErrorReport
from caxton.domain.message import Message, StoredMessage
from caxton.domain.overdue import OVERDUE, UNCLAIMED
from caxton.domain.ports.database import Database, Session

# What runs deals with these itself.
ABSENT = "receiver NOT IN (SELECT value FROM json_each(?2))"
PAST_DUE = f"""
SELECT id, body, attempts FROM messages
WHERE state = 'accepted' AND reply_by IS NOT NULL AND reply_by <= ?1 AND {ABSENT} ORDER BY reply_by LIMIT ?3
"""  # noqa: S608 - made of constants
# Looks at all that waits: that is what there should be little of.
UNTOUCHED = f"""
SELECT id, body, attempts FROM messages INDEXED BY messages_waiting
WHERE state = 'accepted' AND created_at < ?1 AND {ABSENT} ORDER BY seq LIMIT ?3
"""  # noqa: S608
FORGET_KEYS = """
UPDATE messages SET sender = NULL, addressed = NULL, idempotency_key = NULL
WHERE seq IN (SELECT seq FROM messages WHERE idempotency_key IS NOT NULL AND created_at < ? LIMIT ?) RETURNING 1
"""
DONE = """
SELECT body, state, attempts FROM messages
WHERE state <> 'accepted' AND state <> 'dead' AND created_at < ? AND (created_at, seq) > (?, ?)
ORDER BY created_at, seq LIMIT ?
"""
BIRTH = "SELECT created_at, seq FROM messages WHERE id = ?"
DEAD = """
SELECT body, state, attempts FROM messages
WHERE state = 'dead' AND died_at < ? AND (died_at, seq) > (?, ?) ORDER BY died_at, seq LIMIT ?
"""
DEATH = "SELECT died_at, seq FROM messages WHERE id = ?"
START = (float("-inf"), 0)
DROP = """
DELETE FROM messages WHERE state <> 'accepted' AND id IN (SELECT value FROM json_each(?)) RETURNING conversation_id
"""
DROP_SUMMARIES = """
DELETE FROM summaries WHERE conversation_id = ? AND conversation_id NOT IN (SELECT id FROM conversations)
"""

Found = tuple[str, bytes, int]


class SqliteKeeper:
    """Implements `ports.delivery.Keeper`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(
        self, now: float, *, unclaimed_before: float | None, running: Collection[str], limit: int
    ) -> list[Message]:
        names = json_text([*running])

        def found(session: Session) -> list[tuple[Found, ErrorReport]]:
            overdue = session.execute(PAST_DUE, (now, names, limit))
            room = limit - len(overdue)
            old = [] if unclaimed_before is None else session.execute(UNTOUCHED, (unclaimed_before, names, limit))
            known = {row[0] for row in overdue}
            untouched = [row for row in old if row[0] not in known][:room]
            return [(row, OVERDUE) for row in overdue] + [(row, UNCLAIMED) for row in untouched]

        # Looked for beside the writer, which has nothing to do but to make sure where there is nothing.
        if not await self._database.scan(found):
            return []
        return await self._database.write(lambda session: [_bury(session, *one, now) for one in found(session)])

    async def forget_keys(self, before: float) -> int:
        forgotten = 0
        while gone := await self._database.write(lambda session: len(session.execute(FORGET_KEYS, (before, STEP)))):
            forgotten += gone
        return forgotten

    async def archivable(
        self, before: float, *, limit: int, after: str | None = None, dead: bool = False
    ) -> list[StoredMessage]:
        query, place_of = (DEAD, DEATH) if dead else (DONE, BIRTH)

        def work(session: Session) -> list[tuple[Any, ...]]:
            place = [START] if after is None else session.execute(place_of, (after,))
            return session.execute(query, (before, *place[0], limit)) if place else []

        return [stored(row) for row in await self._database.scan(work)]

    async def drop(self, message_ids: Sequence[str]) -> int:
        ids = json_text(message_ids)

        def work(session: Session) -> int:
            count_in(session)
            conversations = [conversation for (conversation,) in session.execute(DROP, (ids,))]
            dropped = count_out(session, conversations)
            for conversation in set(conversations):
                session.execute(DROP_SUMMARIES, (conversation,))
            return dropped

        return await self._database.write(work)


def _bury(session: Session, row: Found, error: ErrorReport, now: float) -> Message:
    message_id, body, attempts = row
    failure = Failure(attempt=attempts, at=now, error=error)
    session.execute(BURY, (now, json_text(failure), message_id))
    return decode(body)
