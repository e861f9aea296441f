"""What was said, in the embedded database."""

from typing import Any

from caxton.bus.stores.counts import FRESH, count_in, count_out
from caxton.bus.stores.rows import decode, json_text, stored
from caxton.domain.message import Conversation, Erasure, Exchange, MessageState, StoredMessage, Summary
from caxton.domain.ports.database import Database, Session

SEQ = "SELECT seq FROM messages WHERE id = ?"
HISTORY = """
SELECT request.body, reply.body FROM messages AS reply JOIN messages AS request ON request.id = reply.in_reply_to
WHERE reply.conversation_id = ? AND reply.agent = ?
    AND reply.performative = 'inform' AND reply.in_reply_to IS NOT NULL
ORDER BY reply.seq DESC LIMIT ?
"""
ALL = "SELECT body, state, attempts FROM messages WHERE seq < ?3 ORDER BY seq DESC LIMIT ?4"
# What waits is in other indexes than the rest: each part comes in its order, and SQLite merges them. The "+" keeps it
# off the agent's index where the conversation's, over fewer messages, will do.
OF_AGENT = """
SELECT body, state, attempts FROM (
    SELECT seq, body, state, attempts FROM messages WHERE agent = ?1 AND state <> 'accepted' AND seq < ?3
    UNION ALL SELECT seq, body, state, attempts FROM messages
    WHERE receiver = ?1 AND agent = receiver AND state = 'accepted' AND seq < ?3
    UNION ALL SELECT seq, body, state, attempts FROM messages
    WHERE agent = ?1 AND agent <> receiver AND state = 'accepted' AND seq < ?3
    ORDER BY seq DESC LIMIT ?4
)
"""
OF_CONVERSATION = """
SELECT body, state, attempts FROM (
    SELECT seq, body, state, attempts FROM messages WHERE conversation_id = ?2 AND state <> 'accepted' AND seq < ?3
    UNION ALL SELECT seq, body, state, attempts FROM messages INDEXED BY messages_waiting
    WHERE conversation_id = ?2 AND state = 'accepted' AND seq < ?3
    ORDER BY seq DESC LIMIT ?4
)
"""
OF_BOTH = """
SELECT body, state, attempts FROM (
    SELECT seq, body, state, attempts FROM messages
    WHERE conversation_id = ?2 AND +agent = ?1 AND state <> 'accepted' AND seq < ?3
    UNION ALL SELECT seq, body, state, attempts FROM messages
    WHERE receiver = ?1 AND agent = receiver AND conversation_id = ?2 AND state = 'accepted' AND seq < ?3
    UNION ALL SELECT seq, body, state, attempts FROM messages
    WHERE agent = ?1 AND agent <> receiver AND conversation_id = ?2 AND state = 'accepted' AND seq < ?3
    ORDER BY seq DESC LIMIT ?4
)
"""
TRACED = """
SELECT body, state, attempts FROM (
    SELECT seq, body, state, attempts FROM messages WHERE trace_id = ?1 AND state <> 'accepted'
    UNION ALL SELECT seq, body, state, attempts FROM messages INDEXED BY messages_waiting
    WHERE trace_id = ?1 AND state = 'accepted'
    ORDER BY seq LIMIT ?2
)
"""
CONVERSATIONS = """
SELECT id, agent, messages, created_at, updated_at FROM conversations WHERE {where} touched < ?
ORDER BY touched DESC LIMIT ?
"""
# What is counted already, and what is not yet.
CONVERSATION = f"""
SELECT agent, messages, created_at, updated_at FROM conversations WHERE id = ?1
UNION ALL
SELECT first.agent, fresh.messages, first.created_at, last.created_at
FROM ({FRESH.format(where="AND conversation_id = ?1")}) AS fresh
JOIN messages AS first ON first.seq = fresh.first JOIN messages AS last ON last.seq = fresh.last
"""  # noqa: S608 - made of constants
UNCOUNTED = "SELECT 1 FROM messages WHERE seq > (SELECT seq FROM conversations_counted) LIMIT 1"
TOUCHED = "SELECT touched FROM conversations WHERE id = ?"
SUMMARY = "SELECT text, upto, created_at FROM summaries WHERE conversation_id = ? AND agent = ?"
SUMMARIZE = """
INSERT OR REPLACE INTO summaries (conversation_id, agent, text, upto, created_at)
SELECT id, ?, ?, ?, ? FROM conversations WHERE id = ?
"""
UNSUMMARIZE = "DELETE FROM summaries WHERE {where} TRUE"
ERASE = "DELETE FROM messages WHERE {where} state <> 'accepted' RETURNING conversation_id"
ERASE_STATE = "DELETE FROM agent_state WHERE agent = ?"
# A reply's sender is the agent itself, which asked nothing. `body` is JSON text in a blob.
ASKED = "FROM messages WHERE json_extract(CAST(body AS TEXT), '$.sender') = ? AND agent <> ?"
TAKEN_PART = f"""
SELECT id, agent, messages, created_at, updated_at FROM conversations
WHERE id IN (SELECT conversation_id {ASKED}) ORDER BY touched DESC
"""  # noqa: S608 - made of constants
TRACES = f"SELECT DISTINCT trace_id {ASKED} AND trace_id IS NOT NULL"
WIPE = "DELETE FROM messages WHERE conversation_id = ? AND state <> 'accepted' RETURNING state, conversation_id"
WIPE_WAITING = """
DELETE FROM messages WHERE state = 'accepted' AND conversation_id IN (SELECT value FROM json_each(?))
RETURNING state, conversation_id
"""
WIPE_TRACE = "DELETE FROM messages WHERE trace_id = ? AND state <> 'accepted' RETURNING state, conversation_id"
WIPE_TRACE_WAITING = """
DELETE FROM messages WHERE state = 'accepted' AND trace_id IN (SELECT value FROM json_each(?))
RETURNING state, conversation_id
"""
WIPE_SUMMARIES = "DELETE FROM summaries WHERE conversation_id = ?"

END = 2**62
"""Above every sequence number."""


class SqliteHistory:
    """Implements `ports.messages.MessageStore` but for `find`, which is the delivery's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        rows = self._database.read(lambda session: session.execute(HISTORY, (conversation_id, agent, limit)))
        return [Exchange(decode(request), decode(reply)) for request, reply in reversed(rows)]

    def summary(self, conversation_id: str, agent: str) -> Summary | None:
        rows = self._database.read(lambda session: session.execute(SUMMARY, (conversation_id, agent)))
        if not rows:
            return None
        text, upto, created_at = rows[0]
        return Summary(conversation_id=conversation_id, agent=agent, text=text, upto=upto, created_at=created_at)

    async def summarize(self, summary: Summary) -> None:
        row = (summary.agent, summary.text, summary.upto, summary.created_at, summary.conversation_id)

        def work(session: Session) -> None:
            count_in(session)
            session.execute(SUMMARIZE, row)

        await self._database.write(work)

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        query = messages_query(agent=agent, conversation_id=conversation_id)
        rows = await self._database.scan(
            lambda session: session.execute(query, (agent, conversation_id, _end(session, SEQ, before), limit))
        )
        return [stored(row) for row in rows]

    async def traced(self, trace_id: str, *, limit: int) -> list[StoredMessage]:
        rows = await self._database.scan(lambda session: session.execute(TRACED, (trace_id, limit)))
        return [stored(row) for row in rows]

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        where, values = _where(agent=agent)
        await self._count()
        rows = await self._database.scan(
            lambda session: session.execute(
                CONVERSATIONS.format(where=where), (*values, _end(session, TOUCHED, before), limit)
            )
        )
        return [_conversation(row) for row in rows]

    def conversation(self, conversation_id: str) -> Conversation | None:
        rows = self._database.read(lambda session: session.execute(CONVERSATION, (conversation_id,)))
        if not rows:
            return None
        agent, _, created_at, _ = rows[0]
        count = sum(messages for _, messages, _, _ in rows)
        return _conversation((conversation_id, agent, count, created_at, rows[-1][3]))

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        where, values = _where(agent=agent, conversation_id=conversation_id)

        def work(session: Session) -> int:
            count_in(session)
            erased = session.execute(ERASE.format(where=where), values)
            session.execute(UNSUMMARIZE.format(where=where), values)
            if agent is not None and conversation_id is None:
                session.execute(ERASE_STATE, (agent,))
            return count_out(session, (conversation for (conversation,) in erased))

        return await self._database.write(work)

    async def taken_part(self, person: str) -> list[Conversation]:
        await self._count()
        rows = await self._database.scan(lambda session: session.execute(TAKEN_PART, (person, person)))
        return [_conversation(row) for row in rows]

    async def forget(self, person: str) -> Erasure:
        def work(session: Session) -> Erasure:
            count_in(session)
            conversations = [row[0] for row in session.execute(TAKEN_PART, (person, person))]
            traces = [trace for (trace,) in session.execute(TRACES, (person, person))]
            gone = [row for one in conversations for row in session.execute(WIPE, (one,))]
            gone += session.execute(WIPE_WAITING, (json_text(conversations),))
            gone += [row for one in traces for row in session.execute(WIPE_TRACE, (one,))]
            gone += session.execute(WIPE_TRACE_WAITING, (json_text(traces),))
            count_out(session, (conversation for _, conversation in gone))
            for conversation in {conversation for _, conversation in gone}:
                session.execute(WIPE_SUMMARIES, (conversation,))
            waiting = sum(state == MessageState.ACCEPTED for state, _ in gone)
            return Erasure(conversations=tuple(conversations), messages=len(gone), waiting=waiting)

        return await self._database.write(work)

    async def _count(self) -> None:
        if self._database.read(lambda session: session.execute(UNCOUNTED)):
            await self._database.write(count_in)


def messages_query(*, agent: str | None, conversation_id: str | None) -> str:
    """What finds messages by what is given; ?1 is the agent, ?2 the conversation, ?3 the end, ?4 the limit."""
    if conversation_id is None:
        return ALL if agent is None else OF_AGENT
    return OF_CONVERSATION if agent is None else OF_BOTH


def _where(*, agent: str | None, conversation_id: str | None = None) -> tuple[str, tuple[str, ...]]:
    """A condition for what is given, to be followed by another."""
    where = ""
    values: tuple[str, ...] = ()
    if conversation_id is not None:
        where, values = "conversation_id = ? AND ", (conversation_id,)
    if agent is not None:
        # The "+" keeps SQLite off the agent's index where the conversation's, over fewer messages, will do.
        where += "+agent = ? AND " if values else "agent = ? AND "
        values = (*values, agent)
    return where, values


def _end(session: Session, query: str, before: str | None) -> int:
    """Where a page that ends before the item of that id ends; nothing is before one that there is not."""
    if before is None:
        return END
    rows = session.execute(query, (before,))
    return int(rows[0][0]) if rows else 0


def _conversation(row: tuple[Any, ...]) -> Conversation:
    id, agent, messages, created_at, updated_at = row
    return Conversation(id=id, agent=agent, messages=messages, created_at=created_at, updated_at=updated_at)
