"""How conversations are counted: not with each message, but many at once, later.

A conversation's row is written once for all the messages that came since the last count, in one go every so many of
them, or when somebody needs it to be right. `conversations_counted` says up to which message the rows are; so a crash
between loses nothing.
"""

import json
from collections import Counter
from collections.abc import Iterable

from caxton.domain.ports.database import Session

COUNT_EVERY = 8192
"""Messages that are not counted, at most: a read of one conversation looks at each of them."""

FRESH = """
SELECT conversation_id, count(*) AS messages, min(seq) AS first, max(seq) AS last FROM messages
WHERE seq > (SELECT seq FROM conversations_counted) {where} GROUP BY conversation_id
"""
COUNT_IN = f"""
INSERT INTO conversations (id, agent, messages, created_at, updated_at, touched)
SELECT fresh.conversation_id, first.agent, fresh.messages, first.created_at, last.created_at, fresh.last
FROM ({FRESH.format(where="")}) AS fresh
JOIN messages AS first ON first.seq = fresh.first JOIN messages AS last ON last.seq = fresh.last
WHERE TRUE ON CONFLICT (id) DO UPDATE SET
    messages = messages + excluded.messages, updated_at = excluded.updated_at, touched = excluded.touched
"""  # noqa: S608 - made of constants
COUNTED = "UPDATE conversations_counted SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM messages))"
COUNT_OUT = "UPDATE conversations SET messages = messages - ? WHERE id = ?"
FORGET = "DELETE FROM conversations WHERE id = ? AND messages = 0"
# What is left speaks for the conversation: the agent of its first message, the place of its last one.
REMAINING = "UPDATE conversations SET agent = ?, touched = ? WHERE id = ?"
DONE = """
SELECT seq, agent FROM messages WHERE conversation_id = ? AND state <> 'accepted' ORDER BY seq {order} LIMIT 1
"""
WAITING = """
SELECT conversation_id, seq, agent FROM messages
WHERE state = 'accepted' AND conversation_id IN (SELECT value FROM json_each(?))
"""


def count_in(session: Session) -> None:
    """Have every conversation count all of its messages. To be done before any is deleted or moved."""
    session.execute(COUNT_IN)
    session.execute(COUNTED)


def count_out(session: Session, conversations: Iterable[str]) -> int:
    """Take deleted messages off the counts of their conversations, named once for each; how many there were."""
    gone = Counter(conversations)
    for conversation, count in gone.items():
        session.execute(COUNT_OUT, (count, conversation))
        session.execute(FORGET, (conversation,))
    place_again(session, gone)
    return gone.total()


def place_again(session: Session, conversations: Iterable[str]) -> None:
    """Have conversations stand where their last message is, in the name of the first one's agent."""
    known = {conversation: _done(session, conversation) for conversation in conversations}
    for conversation, seq, agent in session.execute(WAITING, (json.dumps([*known]),)):
        known[conversation].append((seq, agent))
    for conversation, messages in known.items():
        if messages:
            session.execute(REMAINING, (min(messages)[1], max(messages)[0], conversation))


def _done(session: Session, conversation: str) -> list[tuple[int, str]]:
    """The first and the last of its messages that wait for nobody."""
    return [
        (seq, agent)
        for order in ("ASC", "DESC")
        for seq, agent in session.execute(DONE.format(order=order), (conversation,))
    ]
