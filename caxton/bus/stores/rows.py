"""Messages as rows of the embedded database: how they are put in and read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from caxton.bus.stores.counts import COUNT_EVERY, count_in
from caxton.domain.address import AddressKind, read_address
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState, StoredMessage
from caxton.domain.ports.database import Session, SqlValue

LAST = "SELECT coalesce(max(seq), 0) FROM messages"
LAST_EVER = "SELECT max((SELECT seq FROM conversations_counted), (SELECT coalesce(max(seq), 0) FROM messages))"
ADD = """
INSERT INTO messages (
    seq, id, conversation_id, agent, performative, in_reply_to, state, body,
    sender, addressed, idempotency_key, receiver, created_at, reply_by, trace_id
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
IS_AT = "SELECT 1 FROM messages WHERE seq = ? AND id = ?"
TRACE = slice(3, 35)
"""Where a traceparent has its trace id."""

Row = tuple[SqlValue, ...]
"""What `ADD` takes, but for the sequence number."""

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode


class Adder:
    """Puts messages in. Used in the database's writer alone."""

    def __init__(self) -> None:
        self._last = 0
        self._counted = 0

    def numbers(self, session: Session, count: int) -> int:
        """The first of so many new sequence numbers.

        No number is given twice, even where the newest message is deleted: whoever reads on from one would miss
        another that had it later.
        """
        if not self._last:
            self._counted = session.execute(LAST_EVER)[0][0]
        ((last,),) = session.execute(LAST)
        first: int = max(self._last, self._counted, last) + 1
        self._last = first + count - 1
        return first

    def add(self, session: Session, rows: Sequence[Row]) -> set[int]:
        """Store messages, each a `row_of`; the positions of those not stored.

        Those are messages whose id, or whose key with its sender and receiver, is there already.
        """
        first = self.numbers(session, len(rows))
        stored = session.execute_many(ADD, [(number, *row) for number, row in enumerate(rows, first)])
        if self._last - self._counted > COUNT_EVERY:
            count_in(session)
            self._counted = self._last
        if stored == len(rows):
            return set()
        return {at for at, row in enumerate(rows) if not session.execute(IS_AT, (first + at, row[0]))}


def row_of(message: Message, state: MessageState = MessageState.ACCEPTED, agent: str | None = None) -> Row:
    """A message to be stored; `agent` is the one that it is to or from, its receiver where none is named."""
    key = message.idempotency_key
    receiver = message.receiver
    return (
        message.id,
        message.conversation_id,
        agent or receiver,
        message.performative,
        message.in_reply_to,
        state,
        encode(message),
        None if key is None else message.sender,
        None if key is None else key_address(message),
        key,
        receiver,
        message.created_at,
        message.reply_by,
        message.trace[TRACE] if message.trace else None,
    )


def key_address(message: Message) -> str:
    """To whom its sender meant a message with a key: a repeat may find another agent that has the capability."""
    addressed = message.addressed
    by_capability = addressed is not None and read_address(addressed).kind is AddressKind.CAPABILITY
    return addressed if addressed is not None and by_capability else message.receiver


def encode(value: object) -> bytes:
    """A message, or whatever else is kept, as JSON."""
    try:
        return _encode(value)
    except UnicodeEncodeError as error:
        raise CaxtonError(
            Code.BODY_INVALID, "The message holds half a surrogate pair, which is not text.", why=str(error)
        ) from error


def json_text(value: object) -> str:
    return encode(value).decode()


def stored(row: tuple[Any, ...]) -> StoredMessage:
    """The message of a row of body, state and attempts."""
    body, state, attempts = row
    return StoredMessage(message=decode(body), state=MessageState(state), attempts=attempts)
