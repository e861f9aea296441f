"""What belongs together: W3C Trace Context (https://www.w3.org/TR/trace-context/, §3.2).

    00-0199f3b2c4d57e6f8a1b2c3d4e5f6071-8a1b2c3d4e5f6071-01
    version · trace id (16 bytes)       · span id (8 bytes) · flags

All messages that a first one led to have its trace id, and each of them a span of its own, but for a reply, which ends
that of its request. Both are made of ids that the messages have anyway: the trace id is the UUID of the first message,
a span the last half of its own message's.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
VERSION = "00"
SAMPLED = "01"


class Traceparent(NamedTuple):
    """A `traceparent` read. `trace_id` has 32 and `span_id` 16 hexadecimal digits, never all zero."""

    trace_id: str
    span_id: str
    flags: str = SAMPLED

    def __str__(self) -> str:
        return f"{VERSION}-{self.trace_id}-{self.span_id}-{self.flags}"


def read_traceparent(text: str) -> Traceparent | None:
    """The value of a `traceparent` header; None where it is none, which is to be treated as if it were not there.

    One of a later version is read as far as this version knows it (§3.2.4), and written again as one of this version.
    """
    found = HEADER.fullmatch(text)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == VERSION and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Traceparent(trace_id, span_id, f"{int(flags, 16) & 1:02x}")


def traceparent(message_id: str, parent: str | None = None) -> str:
    """The `trace` of a message: it goes on with that of the one it comes from, or begins another where that has none.

    `parent` is the `trace` of the message in whose handling this one is sent, or what an HTTP client gave.
    """
    own = _digits(message_id)
    before = read_traceparent(parent) if parent else None
    if before is None:
        return f"{VERSION}-{own}-{own[16:]}-{SAMPLED}"
    return f"{VERSION}-{before.trace_id}-{own[16:]}-{before.flags}"


def trace_id_of(message_id: str, trace: str | None) -> str:
    """Under what a message is found: the trace id of its `trace`; where it has none, the one it would have begun."""
    before = read_traceparent(trace) if trace else None
    return before.trace_id if before else _digits(message_id)


def _digits(message_id: str) -> str:
    """The 32 digits of a UUID; of an id that is none, as many of its hash."""
    digits = message_id.replace("-", "")
    if len(digits) == 32 and digits[16:].strip("0") and not digits.strip("0123456789abcdef"):
        return digits
    return blake2b(message_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()
