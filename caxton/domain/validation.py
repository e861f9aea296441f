"""What somebody sends as a message, read; or everything that is wrong with it.

The fields are those of FIPA SC00061G that a sender decides about, under the names of `domain.message.Message`. What it
does not decide about (`id`, `hops` …) is given by the bus.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from math import isfinite
from typing import Any, TypeVar

from caxton.domain.address import SEPARATOR, AddressKind, read_address
from caxton.domain.content import flaws, shortened, size
from caxton.domain.identifiers import ANONYMOUS, default_conversation
from caxton.domain.message import Durability, Message, Performative
from caxton.domain.misunderstanding import FIELDS, LONGEST_NAME, Finding, is_name
from caxton.domain.protocol import ACTS
from caxton.domain.suggestion import did_you_mean
from caxton.domain.trace import read_traceparent, traceparent

LARGEST_CONTENT = 1_048_576
"""Bytes of a content as JSON, where nothing else is said."""
PRIORITIES = range(10)
NEW_CONVERSATION = "new"
OURS = {"id", "created_at", "hops", "path", "cause", "addressed", "awaited"}
"""Fields of a message that are not the sender's to fill."""
SPOKEN = {
    Performative.REQUEST,
    Performative.QUERY_IF,
    Performative.QUERY_REF,
    Performative.PROPOSE,
    Performative.CFP,
    Performative.INFORM,
    Performative.FAILURE,
}
"""Acts that say nothing without a content."""
HISTORY = "history"
"""The key under which the turn loop finds a talk that the sender brought along."""
MOST_FINDINGS = 20

E = TypeVar("E", bound=StrEnum)


def read_message(
    given: object,
    *,
    id: str,
    now: float,
    known: Callable[[str], Message | None],
    largest: int = LARGEST_CONTENT,
) -> Message | list[Finding]:
    """The message that `given` is, with this id and made `now`; or all that keeps it from being one, at most 20 things.

    `known` finds messages by id, those that one may answer; `largest` is in bytes of content.
    """
    if not isinstance(given, Mapping):
        return [Finding(message=f"A message is an object with fields, not {_kind(given)}.")]
    return _Reader(given, id, now, largest).read(known)


class _Reader:
    """Reads one message, and notes what is wrong with it on the way."""

    def __init__(self, given: Mapping[Any, Any], id: str, now: float, largest: int) -> None:
        self._given = given
        self._id = id
        self._now = now
        self._largest = largest
        self._findings: list[Finding] = []

    def read(self, known: Callable[[str], Message | None]) -> Message | list[Finding]:
        self._check_names()
        act = self._choice("performative", Performative, Performative.REQUEST)
        earlier = self._earlier(known)
        if earlier and act:
            self._check_reply(earlier, act)
        asks, answers = _parties(earlier, act)
        sender = self._name("sender", asks or ANONYMOUS)
        receiver = self._name("receiver", answers)
        if receiver is None and self._given.get("receiver") is None:
            self._note("receiver", "is missing.", "Name an agent, capability:NAME, group:CONVERSATION or all.")
        self._check_party("sender", sender, asks)
        self._check_party("receiver", receiver, answers)
        conversation = self._conversation(sender, receiver, earlier)
        durability = self._choice("durability", Durability, Durability.STORED)
        key = self._name("idempotency_key")
        if key is not None and durability is Durability.MEMORY:
            self._note("idempotency_key", "does not go with `durability` memory: nothing is stored then.")
        reply_with, protocol = self._name("reply_with"), self._name("protocol")
        ontology, language = self._name("ontology"), self._name("language")
        priority = self._priority()
        reply_by = self._reply_by()
        trace = self._trace()
        content = self._content(act)
        if self._findings or not (act and sender and receiver and conversation and durability) or content is None:
            return self._findings
        return Message(
            id=self._id,
            performative=act,
            sender=sender,
            receiver=receiver,
            conversation_id=conversation,
            created_at=self._now,
            content=content,
            in_reply_to=earlier.id if earlier else None,
            reply_with=reply_with,
            reply_by=reply_by,
            protocol=protocol,
            ontology=ontology,
            language=language,
            priority=priority,
            idempotency_key=key,
            trace=trace,
            durability=durability,
        )

    def _note(self, field: str, message: str, hint: str = "") -> None:
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Finding(field=field, message=message, hint=hint))

    def _check_names(self) -> None:
        for name in self._given:
            shown = str(name)[:LONGEST_NAME].encode(errors="replace").decode()
            if name in OURS:
                self._note(shown, "is given by the server.", "Leave it out.")
            elif name not in FIELDS:
                known = did_you_mean(shown, FIELDS) or f"Known: {', '.join(FIELDS)}."
                self._note(shown, "is no field of a message.", known)

    def _name(self, field: str, default: str | None = None) -> str | None:
        """A short text, or the default where the field is left out or null; None where it is wrong, too."""
        value = self._given.get(field)
        if value is None:
            return default
        if not isinstance(value, str):
            self._note(field, f"has to be text, not {_kind(value)}.")
        elif not is_name(value):
            shown = shortened(value, 80)
            self._note(field, f"has to be 1 to {LONGEST_NAME} printable characters, not {shown!r}.")
        else:
            return value
        return None

    def _choice(self, field: str, kind: type[E], default: E) -> E | None:
        value = self._given.get(field)
        if value is None:
            return default
        words = [one.value for one in kind]
        if isinstance(value, str) and value in words:
            return kind(value)
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        self._note(
            field, f"is {shortened(value, 80)!r}, which is no {field}.", hint or f"There are: {', '.join(words)}."
        )
        return None

    def _earlier(self, known: Callable[[str], Message | None]) -> Message | None:
        """The message that this one answers, if any."""
        id = self._name("in_reply_to")
        if id is None:
            return None
        if (earlier := known(id)) is None:
            self._note("in_reply_to", f"is {id!r}, which is no message that is known here.", "Give a message's id.")
        return earlier

    def _check_reply(self, earlier: Message, act: Performative) -> None:
        replies = ACTS[earlier.performative].replies
        # A cancel names what it is about in the same way, and whatever was said may be misunderstood.
        if act in (*replies, Performative.CANCEL, Performative.NOT_UNDERSTOOD):
            return
        fitting = f"It is answered with {', '.join(replies)}." if replies else "Nothing answers it but not-understood."
        article = "an" if earlier.performative[0] in "aeiou" else "a"
        self._note(
            "performative", f"is {act.value!r}, which does not answer {article} {earlier.performative}.", fitting
        )

    def _check_party(self, field: str, name: str | None, expected: str | None) -> None:
        if expected is not None and name not in (None, expected):
            self._note(
                field,
                f"is {name!r}, but the message that `in_reply_to` names is between others.",
                f"It would have to be {expected!r}.",
            )

    def _conversation(self, sender: str | None, receiver: str | None, earlier: Message | None) -> str | None:
        """The conversation that it belongs to: that of what it answers, of the group, or the one that is named."""
        named = self._name("conversation_id")
        given = named or self._given.get("conversation_id") is not None
        fixed = earlier.conversation_id if earlier else None
        if receiver:
            address = read_address(receiver)
            if receiver in (f"{AddressKind.CAPABILITY}{SEPARATOR}", f"{AddressKind.GROUP}{SEPARATOR}"):
                self._note("receiver", f"is {receiver!r}, which names none.")
            if address.kind is AddressKind.GROUP:
                fixed = fixed or address.name
        if fixed and named not in (None, fixed):
            self._note(
                "conversation_id", f"is {named!r}, but it is said in the conversation {fixed!r}.", "Leave it out."
            )
        if named == NEW_CONVERSATION:
            return self._id
        if given:
            return named
        return fixed or (default_conversation(sender, receiver) if sender and receiver else None)

    def _priority(self) -> int:
        value = self._given.get("priority")
        if value is None:
            return 5
        if isinstance(value, int) and not isinstance(value, bool) and value in PRIORITIES:
            return value
        self._note("priority", f"has to be an integer from 0 to 9, the most urgent, not {shortened(value, 80)!r}.")
        return 5

    def _reply_by(self) -> float | None:
        value = self._given.get("reply_by")
        match value:
            case None:
                return None
            case bool():
                at = None
            case int() | float():
                at = float(value) if isfinite(value) else None
            case datetime():
                at = value.timestamp() if value.tzinfo else None
            case str():
                at = _instant(value)
            case _:
                at = None
        if at is None:
            self._note(
                "reply_by",
                f"is {shortened(value, 80)!r}, which is no time.",
                "Give seconds since the epoch, or a time with its zone as in 2030-01-31T12:00:00Z (RFC 3339).",
            )
        elif at <= self._now:
            self._note("reply_by", f"passed {self._now - at:.0f} s ago.", "Give a later time, or none.")
        return at

    def _trace(self) -> str:
        """The trace that it goes on with, or begins."""
        value = self._name("trace")
        if value is not None and read_traceparent(value) is None:
            self._note("trace", f"is {value[:80]!r}, which is no W3C traceparent.", "00-<32 hex>-<16 hex>-01")
        return traceparent(self._id, value)

    def _content(self, act: Performative | None) -> dict[str, Any] | None:
        content, text = self._given.get("content"), self._given.get("text")
        if content is not None and text is not None:
            self._note("text", "and `content` are both there.", "Put the text into the content.")
            return None
        if text is not None:
            content = {"text": text}
        if content is None:
            content = {}
        if not isinstance(content, Mapping):
            self._note("content", f"has to be an object, not {_kind(content)}.", 'Write {"text": "…"} for plain text.')
            return None
        found = list(islice(flaws(content), MOST_FINDINGS))
        for flaw in found:
            self._note(flaw.place, f"{flaw.what}.")
        if found:
            return None
        if (bytes := size(content)) > self._largest:
            self._note("content", f"has {bytes} bytes; {self._largest} are the most.")
        if "text" in content and not isinstance(content["text"], str):
            self._note("content.text", f"has to be text, not {_kind(content['text'])}.")
        elif act in SPOKEN and not any(value not in (None, "") for value in content.values()):
            self._note("content", f"is empty, and a message with {act} says nothing without one.")
        elif act in SPOKEN and len(content) == 1 and not content.get("text", "x").strip():
            self._note("content.text", "is empty; an agent needs something to answer.")
        if HISTORY in content:
            self._note(f"content.{HISTORY}", "is not taken here.", "Use POST /agents/{name}/message for that.")
        return dict(content)


def _parties(earlier: Message | None, act: Performative | None) -> tuple[str | None, str | None]:
    """Sender and receiver of what answers, or cancels, an earlier message; None where nothing is answered."""
    if earlier is None:
        return None, None
    if act is Performative.CANCEL:
        return earlier.sender, earlier.receiver
    return earlier.receiver, earlier.sender


def _instant(text: str) -> float | None:
    """Seconds since the epoch of a time with its zone (RFC 3339)."""
    try:
        at = datetime.fromisoformat(text)
        return at.timestamp() if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case Mapping():
            return "an object"
        case Sequence():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
