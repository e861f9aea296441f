"""What keeps the messages in the embedded database from growing without end."""

from collections.abc import Sequence

from caxton.bus.stores.commits import BURY
from caxton.bus.stores.counts import count_in, count_out
from caxton.bus.stores.dead_letters import STEP
from caxton.bus.stores.rows import decode, json_text, stored
from caxton.domain.delivery import Failure
from caxton.domain.errors import ErrorReport
from caxton.domain.message import Message, StoredMessage
from caxton.domain.overdue import OVERDUE, UNCLAIMED
from caxton.domain.ports.database import Database, Session

PAST_DUE = """
SELECT id, body, attempts FROM messages
WHERE state = 'accepted' AND reply_by IS NOT NULL AND reply_by <= ? ORDER BY reply_by LIMIT ?
"""
# Looks at all that waits: that is what there should be little of.
UNTOUCHED = """
SELECT id, body, attempts FROM messages
WHERE state = 'accepted' AND attempts = 0 AND failures IS NULL AND created_at < ? ORDER BY seq LIMIT ?
"""
FORGET_KEYS = """
UPDATE messages SET sender = NULL, idempotency_key = NULL
WHERE seq IN (SELECT seq FROM messages WHERE idempotency_key IS NOT NULL AND created_at < ? LIMIT ?) RETURNING 1
"""
DONE = """
SELECT body, state, attempts FROM messages WHERE state <> 'accepted' AND state <> 'dead' AND created_at < ?
ORDER BY created_at, seq LIMIT ?
"""
DEAD = "SELECT body, state, attempts FROM messages WHERE state = 'dead' AND died_at < ? ORDER BY died_at, seq LIMIT ?"
DROP = """
DELETE FROM messages WHERE state <> 'accepted' AND id IN (SELECT value FROM json_each(?)) RETURNING conversation_id
"""
DROP_SUMMARIES = """
DELETE FROM summaries WHERE conversation_id = ? AND conversation_id NOT IN (SELECT id FROM conversations)
"""


class SqliteKeeper:
    """Implements `ports.delivery.Keeper`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(self, now: float, *, unclaimed_before: float | None, limit: int) -> list[Message]:
        def work(session: Session) -> list[Message]:
            overdue = _bury(session, session.execute(PAST_DUE, (now, limit)), OVERDUE, now)
            if unclaimed_before is None:
                return overdue
            room = limit - len(overdue)
            return overdue + _bury(session, session.execute(UNTOUCHED, (unclaimed_before, room)), UNCLAIMED, now)

        return await self._database.write(work)

    async def forget_keys(self, before: float) -> int:
        forgotten = 0
        while gone := await self._database.write(lambda session: len(session.execute(FORGET_KEYS, (before, STEP)))):
            forgotten += gone
        return forgotten

    async def archivable(self, before: float, *, limit: int, dead: bool = False) -> list[StoredMessage]:
        rows = await self._database.scan(lambda session: session.execute(DEAD if dead else DONE, (before, limit)))
        return [stored(row) for row in rows]

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


def _bury(session: Session, rows: list[tuple[str, bytes, int]], error: ErrorReport, now: float) -> list[Message]:
    for message_id, _, attempts in rows:
        failure = Failure(attempt=attempts, at=now, error=error)
        session.execute(BURY, (now, json_text(failure), message_id))
    return [decode(body) for _, body, _ in rows]
