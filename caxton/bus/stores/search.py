"""Finding messages in the embedded database by whatever is known of them."""

from caxton.bus.stores.history import SqliteHistory
from caxton.bus.stores.rows import stored
from caxton.domain.message import MessageFilter, StoredMessage
from caxton.domain.ports.database import Session, SqlValue

SEARCH = """
SELECT body, state, attempts FROM messages
WHERE {where} seq < coalesce((SELECT seq FROM messages WHERE id = ?), ?) ORDER BY seq DESC LIMIT ?
"""
CONDITIONS = {
    "agent": "agent = ?",
    "conversation_id": "conversation_id = ?",
    "state": "state = ?",
    "performative": "performative = ?",
    # The column of senders is only filled where there is an idempotency key. `body` is JSON text in a blob.
    "sender": "json_extract(CAST(body AS TEXT), '$.sender') = ?",
    "since": "created_at >= ?",
}
END = 2**62
"""Above every sequence number."""


class SqliteSearch(SqliteHistory):
    """Implements `search` of `ports.messages.MessageStore`."""

    async def search(self, wanted: MessageFilter, *, limit: int, before: str | None = None) -> list[StoredMessage]:
        if wanted == MessageFilter(agent=wanted.agent, conversation_id=wanted.conversation_id):
            # There are indexes for these, and the order comes from them.
            return await self.messages(
                agent=wanted.agent, conversation_id=wanted.conversation_id, limit=limit, before=before
            )
        given: dict[str, SqlValue] = {
            name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None
        }
        query = SEARCH.format(where="".join(f"{CONDITIONS[name]} AND " for name in given))
        # Nothing is before a message that there is not.
        values = (*given.values(), before, END if before is None else 0, limit)

        def work(session: Session) -> list[StoredMessage]:
            return [stored(row) for row in session.execute(query, values)]

        return await self._database.scan(work)
