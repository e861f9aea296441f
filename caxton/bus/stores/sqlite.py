"""Messages in the embedded database."""

from caxton.bus.stores.dead_letters import SqliteDeadLetters
from caxton.bus.stores.delivery import SqliteDelivery
from caxton.bus.stores.keeper import SqliteKeeper
from caxton.bus.stores.rows import Adder
from caxton.bus.stores.search import SqliteSearch
from caxton.domain.ports.database import Database

RESCUED = (
    """
    UPDATE messages SET
        receiver = coalesce(receiver, json_extract(CAST(body AS TEXT), '$.receiver')),
        addressed = CASE WHEN idempotency_key IS NOT NULL THEN coalesce(addressed, agent) END,
        created_at = json_extract(CAST(body AS TEXT), '$.created_at')
    WHERE receiver IS NULL OR created_at IS NULL
    """,
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
    "INSERT OR REPLACE INTO conversations_counted (one, seq) SELECT 1, coalesce(max(seq), 0) FROM messages",
    "DELETE FROM conversations WHERE id NOT IN (SELECT conversation_id FROM messages)",
    "DELETE FROM summaries WHERE conversation_id NOT IN (SELECT conversation_id FROM messages)",
)
"""What makes the rest agree with the messages of a rescued database, maybe one of an earlier version."""


class SqliteMessageStore(SqliteDelivery, SqliteSearch, SqliteDeadLetters, SqliteKeeper):
    """Implements `ports.messages.MessageStore` and all of `ports.delivery`: each part of it is a class of its own."""

    def __init__(self, database: Database) -> None:
        adder = Adder()
        SqliteDelivery.__init__(self, database, adder)
        SqliteSearch.__init__(self, database)
        SqliteDeadLetters.__init__(self, database, adder)
        SqliteKeeper.__init__(self, database)
