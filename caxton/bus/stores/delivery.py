"""Messages on their way, in the embedded database."""

from collections.abc import Sequence
from typing import Any

import msgspec

from caxton.bus.stores.commits import Committer
from caxton.bus.stores.rows import LAST, Adder, decode, key_address, row_of, stored
from caxton.domain.delivery import Change, Claimed, Failure
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, StoredMessage
from caxton.domain.ports.database import Database, Session

KEYED = "SELECT body FROM messages WHERE addressed = ? AND sender = ? AND idempotency_key = ?"
BEGIN = "UPDATE messages SET attempts = attempts + 1 WHERE id = ? RETURNING attempts"
RECALL = "SELECT value FROM agent_state WHERE agent = ? AND key = ?"
CLAIM = """
SELECT seq, body, attempts, not_before, failures FROM messages
WHERE receiver = ? AND state = 'accepted' AND seq > ? ORDER BY seq LIMIT ?
"""
WAITING = "SELECT count(*) FROM messages WHERE receiver = ? AND state = 'accepted'"
RECEIVERS = "SELECT receiver, count(*) FROM messages WHERE state = 'accepted' GROUP BY receiver"
FIND = "SELECT body, state, attempts FROM messages WHERE id = ?"
# A cancel names in the same way what it is about; an agree, where that is not all, comes before what was agreed to.
REPLY = """
SELECT body FROM messages WHERE in_reply_to = ? AND performative <> 'cancel'
ORDER BY performative = 'agree', seq LIMIT 1
"""

failures_of = msgspec.json.Decoder(tuple[Failure, ...]).decode


class SqliteDelivery:
    """Implements `ports.delivery.DeliveryStore`."""

    def __init__(self, database: Database, adder: Adder) -> None:
        self._database = database
        self._adder = adder
        self._committer = Committer(database, adder)

    async def append(self, messages: Sequence[Message]) -> list[Message]:
        rows = [row_of(message) for message in messages]

        def work(session: Session) -> list[Message]:
            held = list(messages)
            for position in self._adder.add(session, rows):
                held[position] = _earlier(session, held[position])
            return held

        return await self._database.write(work)

    async def commit(self, changes: Sequence[Change]) -> None:
        await self._committer.commit(changes)

    async def begin(self, message_id: str) -> int:
        rows = await self._database.write(lambda session: session.execute(BEGIN, (message_id,)))
        if not rows:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {message_id!r}.")
        attempts: int = rows[0][0]
        return attempts

    async def claim(self, receiver: str, *, after: int, limit: int) -> list[Claimed]:
        rows = await self._database.scan(lambda session: session.execute(CLAIM, (receiver, after, limit)))
        return [_claimed(row) for row in rows]

    async def waiting(self, receiver: str) -> int:
        ((count,),) = await self._database.scan(lambda session: session.execute(WAITING, (receiver,)))
        return int(count)

    async def receivers(self) -> dict[str, int]:
        return dict(await self._database.scan(lambda session: session.execute(RECEIVERS)))

    def last(self) -> int:
        ((last,),) = self._database.read(lambda session: session.execute(LAST))
        return int(last)

    def find(self, message_id: str) -> StoredMessage | None:
        rows = self._database.read(lambda session: session.execute(FIND, (message_id,)))
        return stored(rows[0]) if rows else None

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        return self._database.read(lambda session: _keyed(session, receiver, sender, key))

    def reply_to(self, message_id: str) -> Message | None:
        rows = self._database.read(lambda session: session.execute(REPLY, (message_id,)))
        return decode(rows[0][0]) if rows else None

    def recall(self, agent: str, key: str) -> Any:
        rows = self._database.read(lambda session: session.execute(RECALL, (agent, key)))
        return msgspec.json.decode(rows[0][0]) if rows else None


def _keyed(session: Session, receiver: str, sender: str, key: str) -> Message | None:
    rows = session.execute(KEYED, (receiver, sender, key))
    return decode(rows[0][0]) if rows else None


def _earlier(session: Session, message: Message) -> Message:
    """The stored message that keeps this one out: one with its key, or else one with its id."""
    key = message.idempotency_key
    keyed = None if key is None else _keyed(session, key_address(message), message.sender, key)
    return keyed or decode(session.execute(FIND, (message.id,))[0][0])


def _claimed(row: tuple[Any, ...]) -> Claimed:
    seq, body, attempts, not_before, failures = row
    return Claimed(
        seq=seq,
        message=decode(body),
        attempts=attempts,
        not_before=not_before,
        failures=failures_of(failures) if failures else (),
    )
