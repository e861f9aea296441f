"""What can be remembered, and what is said to whoever tries with something else."""

import math
from typing import Any

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import MemoryLimits, MemorySpace, NewMemory, text_of

MAX_BYTES = 1_048_576
"""Of one entry's value as JSON. What is longer is a document, to be stored in pieces that can be found one by one."""
MAX_NAME = 512
"""Characters of a key, a tag, a kind of relation, an owner, a subject or a source."""
MAX_TAGS = 64


class Prepared(msgspec.Struct, frozen=True):
    """An entry fit to be stored: its value as read back and as JSON, and the text that it is to be found by."""

    new: NewMemory
    value: Any
    json: str
    searched: str
    size: int


def prepared(new: NewMemory) -> Prepared:
    """The entry if it can be stored; CaxtonError `memory_invalid` saying what is wrong with it."""
    if new.key is not None:
        check_name("key", new.key)
    if new.subject is not None:
        check_name("subject", new.subject)
    if new.source is not None:
        check_name("source", new.source)
    if len(new.tags) > MAX_TAGS:
        raise invalid(f"An entry has {len(new.tags)} tags; {MAX_TAGS} are the most.")
    for tag in new.tags:
        check_name("tag", tag)
    new = msgspec.structs.replace(new, tags=tuple(dict.fromkeys(new.tags)))
    if not 0 <= new.importance <= 1:
        raise invalid(f"The importance {new.importance!r} is not from 0 to 1.")
    if new.expires_at is not None and not math.isfinite(new.expires_at):
        raise invalid(f"The expiry {new.expires_at!r} is not a time in seconds since the epoch.")
    if isinstance(new.value, str):
        check_text("text", new.value)
    try:
        encoded = msgspec.json.encode(new.value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise invalid("The value is not JSON.", str(error)) from error
    if len(encoded) > MAX_BYTES:
        raise invalid(
            f"The entry is {len(encoded)} bytes long; {MAX_BYTES} are the most.",
            hint="Store it in pieces, so that each can be found by what it is about.",
        )
    value = msgspec.json.decode(encoded)
    return Prepared(new, value, encoded.decode(), searched_text(new.key, value), len(encoded))


def searched_text(key: str | None, value: Any) -> str:
    """What an entry is found by. A bare value ("blue") means little without its key ("favourite colour")."""
    return f"{key}: {text_of(value)}" if key else text_of(value)


def check_text(what: str, text: str) -> None:
    """Raise `memory_invalid` where a text has characters that no backend stores."""
    if "\0" in text:
        raise invalid(f"The {what} has a NUL character, at position {text.index(chr(0))}.", hint="Take it out.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise invalid(
                f"The {what} has half a surrogate pair, {text[error.start]!r}, at position {error.start}.",
                hint="It was cut in the middle of a character, or decoded wrongly; send whole characters.",
            ) from None


def check_name(what: str, name: str) -> None:
    check_text(what, name)
    if not 0 < len(name) <= MAX_NAME:
        raise invalid(f"A {what} has 1 to {MAX_NAME} characters; {name[:40]!r} has {len(name)}.")


def check_space(space: MemorySpace) -> None:
    if space.scope is MemoryScope.GLOBAL:
        if space.owner:
            raise invalid(f"The global space has no owner; {space.owner!r} was given.")
    else:
        check_name(f"{space.scope} space's owner", space.owner)


def check_limits(limits: MemoryLimits) -> None:
    for name in ("max_entries", "max_bytes", "max_age"):
        value = getattr(limits, name)
        if value is not None and not value > 0:
            raise invalid(f"The limit {name} = {value!r} is not above 0.", hint="Leave it out for no limit.")


def invalid(message: str, why: str = "", *, hint: str = "") -> CaxtonError:
    return CaxtonError(Code.MEMORY_INVALID, message, why=why, hint=hint)
