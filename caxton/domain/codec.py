"""Messages as bytes: JSON, and MessagePack (https://msgpack.org) for those who want fewer of them.

Both carry the same object, with the fields of `Message` by their names and defaults left out. What is not JSON's (NaN,
half a surrogate pair, keys that are no text) neither carries the same way; `domain.validation` lets none of it in.
"""

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message

JSON = "application/json"
MSGPACK = "application/msgpack"
MSGPACK_NAMES = frozenset({MSGPACK, "application/x-msgpack", "application/vnd.msgpack"})
"""How MessagePack is called: the registered name, and those from before it was."""

_from_json = msgspec.json.Decoder(Message).decode
_from_msgpack = msgspec.msgpack.Decoder(Message).decode


def to_json(message: Message) -> bytes:
    return msgspec.json.encode(message)


def from_json(data: bytes) -> Message:
    """The message that `to_json` made these bytes of; CaxtonError `message_not_understood` where they are none."""
    try:
        return _from_json(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unread("JSON", error) from error


def to_msgpack(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


def from_msgpack(data: bytes) -> Message:
    """The message that `to_msgpack` made these bytes of; CaxtonError `message_not_understood` where they are none."""
    try:
        return _from_msgpack(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unread("MessagePack", error) from error


def _unread(kind: str, error: Exception) -> CaxtonError:
    return CaxtonError(Code.MESSAGE_NOT_UNDERSTOOD, f"This is no message in {kind}.", why=f"{error}")
