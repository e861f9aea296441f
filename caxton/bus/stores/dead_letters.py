"""Dead letters in the embedded database."""

from collections.abc import Sequence
from typing import Any

import msgspec

from caxton.bus.stores.counts import COUNTED, count_in, count_out, place_again
from caxton.bus.stores.delivery import failures_of
from caxton.bus.stores.rows import Adder, decode, encode, json_text
from caxton.domain.delivery import DeadLetter
from caxton.domain.message import Message
from caxton.domain.ports.database import Database, Session, SqlValue

STEP = 1000
"""Rows that one transaction deletes at most, so that others get their turn between."""

NEWEST = """
SELECT body, failures, died_at FROM messages
WHERE state = 'dead' AND (died_at, seq) < (?, ?) {where} ORDER BY died_at DESC, seq DESC LIMIT ?
"""
OLDEST = """
SELECT body, failures, died_at FROM messages
WHERE state = 'dead' AND (died_at, seq) > (?, ?) {where} ORDER BY died_at, seq LIMIT ?
"""
OF_RECEIVER = "AND receiver = ?"
OF_CODE = "AND json_extract(failures, '$[#-1].error.code') = ?"
LETTER = "SELECT body, failures, died_at FROM messages WHERE id = ? AND state = 'dead'"
PLACE = "SELECT died_at, seq FROM messages WHERE id = ? AND state = 'dead'"
COUNTS = "SELECT receiver, error_code, count(*) FROM dead_letters GROUP BY receiver, error_code"
NAMED = """
SELECT body, agent FROM messages WHERE state = 'dead' AND id IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
# With a new number: whoever has read on beyond the old one meets it again.
REVIVE = """
UPDATE messages SET
    seq = ?, state = 'accepted', body = ?, agent = ?, receiver = ?, attempts = 0, reply_by = NULL, not_before = NULL,
    failures = NULL, died_at = NULL
WHERE id = ?
"""
# The failure that its sender was told is no reply to what begins anew.
UNREPLY = "UPDATE messages SET in_reply_to = NULL WHERE in_reply_to = ? AND performative = 'failure'"
PURGE = """
DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE state = 'dead' {where} LIMIT ?)
RETURNING conversation_id
"""
DIED_BEFORE = "AND died_at < ?"
OF_IDS = "AND id IN (SELECT value FROM json_each(?))"

FIRST, LAST = (float("-inf"), 0), (float("inf"), 0)


class SqliteDeadLetters:
    """Implements `ports.delivery.DeadLetterStore`."""

    def __init__(self, database: Database, adder: Adder) -> None:
        self._database = database
        self._adder = adder

    async def dead_letters(
        self,
        *,
        receiver: str | None = None,
        code: str | None = None,
        limit: int,
        before: str | None = None,
        oldest: bool = False,
    ) -> list[DeadLetter]:
        wanted = {OF_RECEIVER: receiver, OF_CODE: code}
        conditions = {condition: value for condition, value in wanted.items() if value is not None}
        query = (OLDEST if oldest else NEWEST).format(where=" ".join(conditions))

        def work(session: Session) -> list[tuple[Any, ...]]:
            place = [FIRST if oldest else LAST] if before is None else session.execute(PLACE, (before,))
            return session.execute(query, (*place[0], *conditions.values(), limit)) if place else []

        return [_letter(row) for row in await self._database.scan(work)]

    def dead_letter(self, message_id: str) -> DeadLetter | None:
        rows = self._database.read(lambda session: session.execute(LETTER, (message_id,)))
        return _letter(rows[0]) if rows else None

    async def revive(self, message_ids: Sequence[str], *, receiver: str | None = None) -> list[Message]:
        ids = json_text(message_ids)

        def work(session: Session) -> list[Message]:
            count_in(session)
            dead = session.execute(NAMED, (ids,))
            first = self._adder.numbers(session, len(dead))
            revived = [
                _revive(session, seq, decode(body), agent, receiver) for seq, (body, agent) in enumerate(dead, first)
            ]
            session.execute(COUNTED)  # where they are now: they have been counted where they were
            place_again(session, {message.conversation_id for message in revived})
            return revived

        return await self._database.write(work)

    async def purge(self, *, before: float | None = None, message_ids: Sequence[str] | None = None) -> int:
        wanted: dict[str, SqlValue] = {}
        if before is not None:
            wanted[DIED_BEFORE] = before
        if message_ids is not None:
            wanted[OF_IDS] = json_text(message_ids)
        query, values = PURGE.format(where=" ".join(wanted)), (*wanted.values(), STEP)

        def work(session: Session) -> int:
            count_in(session)
            return count_out(session, (conversation for (conversation,) in session.execute(query, values)))

        purged = 0
        while gone := await self._database.write(work):
            purged += gone
        return purged

    async def death_counts(self) -> dict[tuple[str, str], int]:
        rows = await self._database.scan(lambda session: session.execute(COUNTS))
        return {(receiver, code): count for receiver, code, count in rows}


def _revive(session: Session, seq: int, dead: Message, agent: str, receiver: str | None) -> Message:
    """Have one message wait again. Its deadline, if any, was for whoever asked then."""
    revived = msgspec.structs.replace(dead, reply_by=None)
    if receiver is not None and receiver != dead.receiver:
        revived = msgspec.structs.replace(revived, receiver=receiver, addressed=dead.addressed or dead.receiver)
        agent = receiver if agent == dead.receiver else agent
    session.execute(REVIVE, (seq, encode(revived), agent, revived.receiver, dead.id))
    session.execute(UNREPLY, (dead.id,))
    return revived


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    body, failures, died_at = row
    return DeadLetter(message=decode(body), failures=failures_of(failures), died_at=died_at)
