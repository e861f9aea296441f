"""Messages in the embedded database."""

from collections import Counter
from typing import Any

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Conversation, Erasure, Exchange, Message, MessageState, StoredMessage, Summary
from caxton.domain.ports.database import Database, Session

ADD = """
INSERT INTO messages (id, conversation_id, agent, performative, in_reply_to, state, body, sender, idempotency_key)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING seq
"""
KEYED = "SELECT body FROM messages WHERE agent = ? AND sender = ? AND idempotency_key = ?"
COUNT_IN = """
INSERT INTO conversations (id, agent, messages, created_at, updated_at, touched) VALUES (?, ?, 1, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    messages = messages + 1, updated_at = excluded.updated_at, touched = excluded.touched
"""
BEGIN = "UPDATE messages SET attempts = attempts + 1 WHERE id = ? RETURNING attempts"
SETTLE = "UPDATE messages SET state = ? WHERE id = ? AND state = 'accepted' RETURNING seq"
ACCEPTED = "SELECT body, state, attempts FROM messages WHERE agent = ? AND state = 'accepted' ORDER BY seq"
FIND = "SELECT body, state, attempts FROM messages WHERE id = ?"
REPLY = "SELECT body FROM messages WHERE in_reply_to = ? ORDER BY seq LIMIT 1"
SEQ = "SELECT seq FROM messages WHERE id = ?"
HISTORY = """
SELECT request.body, reply.body FROM messages AS reply JOIN messages AS request ON request.id = reply.in_reply_to
WHERE reply.conversation_id = ? AND reply.agent = ? AND reply.performative = 'inform'
ORDER BY reply.seq DESC LIMIT ?
"""
MESSAGES = "SELECT body, state, attempts FROM messages WHERE {where} seq < ? ORDER BY seq DESC LIMIT ?"
CONVERSATIONS = """
SELECT id, agent, messages, created_at, updated_at FROM conversations WHERE {where} touched < ?
ORDER BY touched DESC LIMIT ?
"""
CONVERSATION = "SELECT id, agent, messages, created_at, updated_at FROM conversations WHERE id = ?"
TOUCHED = "SELECT touched FROM conversations WHERE id = ?"
SUMMARY = "SELECT text, upto, created_at FROM summaries WHERE conversation_id = ? AND agent = ?"
SUMMARIZE = """
INSERT OR REPLACE INTO summaries (conversation_id, agent, text, upto, created_at)
SELECT id, ?, ?, ?, ? FROM conversations WHERE id = ?
"""
UNSUMMARIZE = "DELETE FROM summaries WHERE {where} TRUE"
ERASE = "DELETE FROM messages WHERE {where} state <> 'accepted' RETURNING conversation_id"
COUNT_OUT = "UPDATE conversations SET messages = messages - ? WHERE id = ?"
FORGET = "DELETE FROM conversations WHERE id = ? AND messages = 0"
# What is left speaks for the conversation: the agent of its first message, the place of its last one.
REMAINING = """
UPDATE conversations SET
    agent = (SELECT agent FROM messages WHERE conversation_id = conversations.id ORDER BY seq LIMIT 1),
    touched = (SELECT max(seq) FROM messages WHERE conversation_id = conversations.id)
WHERE id = ?
"""
# A reply's sender is the agent itself, which asked nothing. `body` is JSON text in a blob.
ASKED = "SELECT conversation_id FROM messages WHERE json_extract(CAST(body AS TEXT), '$.sender') = ? AND agent <> ?"
TAKEN_PART = f"""
SELECT id, agent, messages, created_at, updated_at FROM conversations WHERE id IN ({ASKED}) ORDER BY touched DESC
"""  # noqa: S608 - made of constants
WIPE = "DELETE FROM messages WHERE conversation_id = ? RETURNING state"
WIPE_SUMMARIES = "DELETE FROM summaries WHERE conversation_id = ?"
WIPE_CONVERSATION = "DELETE FROM conversations WHERE id = ?"
RESCUED = (
    """
    INSERT OR REPLACE INTO conversations (id, agent, messages, created_at, updated_at, touched)
    SELECT m.conversation_id,
        (SELECT agent FROM messages WHERE conversation_id = m.conversation_id ORDER BY seq LIMIT 1),
        count(*),
        min(json_extract(CAST(m.body AS TEXT), '$.created_at')),
        max(json_extract(CAST(m.body AS TEXT), '$.created_at')),
        max(m.seq)
    FROM messages AS m GROUP BY m.conversation_id
    """,
    "DELETE FROM conversations WHERE id NOT IN (SELECT conversation_id FROM messages)",
    "DELETE FROM summaries WHERE conversation_id NOT IN (SELECT conversation_id FROM messages)",
)
"""What makes conversations agree with the messages of a rescued database."""

END = 2**62
"""Above every sequence number."""


class SqliteMessageStore:
    """Implements `ports.messages.MessageStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, message: Message) -> Message:
        body = _encode(message)
        key = message.idempotency_key

        def work(session: Session) -> Message:
            added = _add(session, message, body, MessageState.ACCEPTED, message.receiver)
            earlier = None if added or key is None else _keyed(session, message.receiver, message.sender, key)
            return earlier or message

        return await self._database.write(work)

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        return self._database.read(lambda session: _keyed(session, receiver, sender, key))

    async def begin(self, message_id: str) -> int:
        rows = await self._database.write(lambda session: session.execute(BEGIN, (message_id,)))
        if not rows:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {message_id!r}.")
        attempts: int = rows[0][0]
        return attempts

    async def settle(self, message_id: str, state: MessageState, reply: Message | None) -> None:
        body = _encode(reply) if reply else b""

        def work(session: Session) -> None:
            if session.execute(SETTLE, (state.value, message_id)) and reply:
                _add(session, reply, body, MessageState.SETTLED, reply.sender)

        await self._database.write(work)

    async def accepted(self, receiver: str) -> list[StoredMessage]:
        rows = await self._database.scan(lambda session: session.execute(ACCEPTED, (receiver,)))
        return [_stored(row) for row in rows]

    def find(self, message_id: str) -> StoredMessage | None:
        rows = self._database.read(lambda session: session.execute(FIND, (message_id,)))
        return _stored(rows[0]) if rows else None

    def reply_to(self, message_id: str) -> Message | None:
        rows = self._database.read(lambda session: session.execute(REPLY, (message_id,)))
        return _decode(rows[0][0]) if rows else None

    def history(self, conversation_id: str, agent: str, limit: int) -> list[Exchange]:
        rows = self._database.read(lambda session: session.execute(HISTORY, (conversation_id, agent, limit)))
        return [Exchange(_decode(request), _decode(reply)) for request, reply in reversed(rows)]

    def summary(self, conversation_id: str, agent: str) -> Summary | None:
        rows = self._database.read(lambda session: session.execute(SUMMARY, (conversation_id, agent)))
        if not rows:
            return None
        text, upto, created_at = rows[0]
        return Summary(conversation_id=conversation_id, agent=agent, text=text, upto=upto, created_at=created_at)

    async def summarize(self, summary: Summary) -> None:
        row = (summary.agent, summary.text, summary.upto, summary.created_at, summary.conversation_id)
        await self._database.write(lambda session: session.execute(SUMMARIZE, row))

    async def messages(
        self, *, agent: str | None, conversation_id: str | None, limit: int, before: str | None = None
    ) -> list[StoredMessage]:
        where, values = _where(agent=agent, conversation_id=conversation_id)
        rows = await self._database.scan(
            lambda session: session.execute(MESSAGES.format(where=where), (*values, _end(session, SEQ, before), limit))
        )
        return [_stored(row) for row in rows]

    async def conversations(self, *, agent: str | None, limit: int, before: str | None = None) -> list[Conversation]:
        where, values = _where(agent=agent)
        rows = await self._database.scan(
            lambda session: session.execute(
                CONVERSATIONS.format(where=where), (*values, _end(session, TOUCHED, before), limit)
            )
        )
        return [_conversation(row) for row in rows]

    def conversation(self, conversation_id: str) -> Conversation | None:
        rows = self._database.read(lambda session: session.execute(CONVERSATION, (conversation_id,)))
        return _conversation(rows[0]) if rows else None

    async def erase(self, *, conversation_id: str | None = None, agent: str | None = None) -> int:
        where, values = _where(agent=agent, conversation_id=conversation_id)

        def work(session: Session) -> int:
            erased = Counter(conversation for (conversation,) in session.execute(ERASE.format(where=where), values))
            for conversation, count in erased.items():
                session.execute(COUNT_OUT, (count, conversation))
                session.execute(FORGET, (conversation,))
                session.execute(REMAINING, (conversation,))
            session.execute(UNSUMMARIZE.format(where=where), values)
            return erased.total()

        return await self._database.write(work)

    async def taken_part(self, person: str) -> list[Conversation]:
        rows = await self._database.scan(lambda session: session.execute(TAKEN_PART, (person, person)))
        return [_conversation(row) for row in rows]

    async def forget(self, person: str) -> Erasure:
        def work(session: Session) -> Erasure:
            conversations = [row[0] for row in session.execute(TAKEN_PART, (person, person))]
            states: list[str] = []
            for conversation in conversations:
                states += [state for (state,) in session.execute(WIPE, (conversation,))]
                session.execute(WIPE_SUMMARIES, (conversation,))
                session.execute(WIPE_CONVERSATION, (conversation,))
            waiting = states.count(MessageState.ACCEPTED.value)
            return Erasure(conversations=tuple(conversations), messages=len(states), waiting=waiting)

        return await self._database.write(work)


def _add(session: Session, message: Message, body: bytes, state: MessageState, agent: str) -> bool:
    """Store a message and count it in its conversation; False where it is stored already, and stays as it is."""
    key = message.idempotency_key
    row = (
        message.id,
        message.conversation_id,
        agent,
        message.performative,
        message.in_reply_to,
        state.value,
        body,
        None if key is None else message.sender,
        key,
    )
    if added := session.execute(ADD, row):
        at = message.created_at
        session.execute(COUNT_IN, (message.conversation_id, agent, at, at, added[0][0]))
    return bool(added)


def _keyed(session: Session, receiver: str, sender: str, key: str) -> Message | None:
    rows = session.execute(KEYED, (receiver, sender, key))
    return _decode(rows[0][0]) if rows else None


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


def _encode(message: Message) -> bytes:
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError as error:
        raise CaxtonError(
            Code.BODY_INVALID, "The message holds half a surrogate pair, which is not text.", why=str(error)
        ) from error


_decode = msgspec.json.Decoder(Message).decode


def _stored(row: tuple[Any, ...]) -> StoredMessage:
    body, state, attempts = row
    return StoredMessage(message=_decode(body), state=MessageState(state), attempts=attempts)


def _conversation(row: tuple[Any, ...]) -> Conversation:
    id, agent, messages, created_at, updated_at = row
    return Conversation(id=id, agent=agent, messages=messages, created_at=created_at, updated_at=updated_at)
