"""What becomes of what cannot be acted on: findings, and the not-understood that tells them (FIPA SC00037J, §3.13)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from caxton.domain.content import shortened
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import ANONYMOUS, default_conversation
from caxton.domain.message import Durability, Message, Performative
from caxton.domain.trace import read_traceparent

LONGEST_NAME = 200
"""Characters that the name of a conversation or of a sender may have, and an idempotency key."""
SHOWN = 200
"""Characters of a text that a report shows."""
FIELDS = (
    "performative",
    "sender",
    "receiver",
    "content",
    "text",
    "conversation_id",
    "reply_with",
    "in_reply_to",
    "reply_by",
    "protocol",
    "ontology",
    "language",
    "priority",
    "idempotency_key",
    "durability",
    "trace",
)
"""What a sender may say. `text` is short for `content` with nothing but a text."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a message. `field` is the path to it, empty where it is the whole."""

    message: str
    field: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"`{self.field}` {self.message}" if self.field else self.message


class MessageNotUnderstood(CaxtonError):
    """What was sent is no message; `findings` has all that is wrong, `reply` is the not-understood that says so."""

    def __init__(self, findings: Sequence[Finding], reply: Message) -> None:
        super().__init__(Code.MESSAGE_NOT_UNDERSTOOD, in_one(findings), hint=findings[0].hint)
        self.findings = tuple(findings)
        self.reply = reply


def not_understood(given: object, findings: Sequence[Finding], *, id: str, now: float, by: str) -> Message:
    """The answer to what could not be acted on: a message, or what was to be one.

    Its content has the `error`, the `problems` one by one, and of the `message` what could be read, in short. It
    answers the id of a message; what never got one, the expression that it wanted to be answered with (`reply_with`).
    """
    error = CaxtonError(Code.MESSAGE_NOT_UNDERSTOOD, in_one(findings), hint=findings[0].hint)
    fields = _fields(given)
    shown = {name: shortened(value, SHOWN) for name, value in fields.items()}
    content = fields.get("content")
    if isinstance(content, Mapping) and isinstance(content.get("text"), str):
        shown["content"] = {"text": shortened(content["text"], SHOWN)}
    names = {name: str(value) for name, value in fields.items() if is_name(value)}
    receiver = names.get("sender", ANONYMOUS)
    trace = names.get("trace")
    return Message(
        id=id,
        performative=Performative.NOT_UNDERSTOOD,
        sender=by,
        receiver=receiver,
        conversation_id=names.get("conversation_id") or default_conversation(receiver, by),
        created_at=now,
        content={
            "error": msgspec.to_builtins(error.report()),
            "problems": [msgspec.to_builtins(finding) for finding in findings],
            "message": shown,
        },
        in_reply_to=names.get("id") or names.get("reply_with"),
        reply_with=names.get("reply_with"),
        trace=trace if trace and read_traceparent(trace) else None,
        durability=given.durability if isinstance(given, Message) else Durability.STORED,
    )


def in_one(findings: Sequence[Finding]) -> str:
    """All findings in a line: the first, and how many more there are."""
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"The message was not understood: {findings[0]}{more}"


def is_name(value: object) -> bool:
    """Whether a value can name somebody, a conversation or anything else that a message refers to."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _fields(given: object) -> dict[str, Any]:
    """The fields of a message, or of what was to be one, as far as they are there."""
    if isinstance(given, Message):
        given = msgspec.structs.asdict(given)
    if not isinstance(given, Mapping):
        return {}
    return {name: value for name in ("id", *FIELDS) if (value := given.get(name)) is not None}
