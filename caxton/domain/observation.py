"""What those who watch are told: what happens to messages and to agents, and what they want to hear of."""

from collections.abc import Collection

import msgspec

from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import ErrorReport
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.message import Message, Performative
from caxton.domain.trace import trace_id_of

LONGEST = 4096
"""Bytes of a message's content that are told."""


class Heard(msgspec.Struct, frozen=True):
    """Something happened to a message. Long contents are cut, and then `cut` says so.

    `id` orders everything that one server tells of, agents' changes included; the rest is as `BusEvent` has it.
    """

    id: str
    event: BusEvent
    cut: bool = False


class AgentChanged(msgspec.Struct, frozen=True):
    """The state of an agent changed."""

    id: str
    event: LifecycleEvent


class Missed(msgspec.Struct, frozen=True):
    """Something is missing here: `count` events, as the reader was too slow, or came too late.

    None where nobody knows how many, as they were those of an earlier server.
    """

    count: int | None


class Opened(msgspec.Struct, frozen=True):
    """From here on, after the event `id`, the reader hears of everything as it happens."""

    id: str


Observed = Opened | Heard | AgentChanged | Missed


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader wants to hear of: what fits everything that is given.

    `agent` is whoever sends or receives a message, or changes. `kinds` and `performatives` are none for all of them.
    Agents' changes are told where nothing is asked for that only messages have.
    """

    agent: str | None = None
    conversation_id: str | None = None
    kinds: Collection[BusEventKind] = ()
    performatives: Collection[Performative] = ()
    sender: str | None = None
    trace_id: str | None = None

    def wants(self, event: BusEvent) -> bool:
        message = event.message
        return (
            (self.agent is None or self.agent in (message.receiver, message.sender))
            and (self.conversation_id is None or self.conversation_id == message.conversation_id)
            and (not self.kinds or event.kind in self.kinds)
            and (not self.performatives or message.performative in self.performatives)
            and (self.sender is None or self.sender == message.sender)
            and (self.trace_id is None or self.trace_id == trace_id_of(message.id, message.trace))
        )

    def wants_agent(self, event: LifecycleEvent) -> bool:
        of_messages = (self.conversation_id, self.sender, self.trace_id) != (None, None, None)
        if of_messages or self.kinds or self.performatives:
            return False
        return self.agent is None or self.agent == event.agent


def cut(message: Message, longest: int) -> tuple[Message, bool]:
    """The message with at most about `longest` bytes of content, and whether something is missing.

    Of a content that is longer as JSON only the beginning of its text is left, if it has one.
    """
    content = message.content
    text = content.get("text")
    if len(content) == 1 and isinstance(text, str) and len(text) <= longest:
        return message, False
    try:
        if len(msgspec.json.encode(content)) <= longest:
            return message, False
    except (TypeError, ValueError, RecursionError):
        pass  # what was never to be stored, and cannot be told either
    kept = {"text": text[:longest]} if isinstance(text, str) else {}
    return msgspec.structs.replace(message, content=kept), True


def cut_event(event: BusEvent, longest: int) -> tuple[BusEvent, bool]:
    """The event with contents of at most about `longest` bytes, and whether something is missing."""
    message, missing = cut(event.message, longest)
    reply, reply_missing = cut(event.reply, longest) if event.reply else (None, False)
    if not missing and not reply_missing:
        return event, False
    return msgspec.structs.replace(event, message=message, reply=reply), True


def error_of(event: BusEvent) -> ErrorReport | None:
    """What went wrong: a failed message may say it in its reply."""
    if event.error is None and event.reply is not None and (told := event.reply.content.get("error")):
        try:
            return msgspec.convert(told, ErrorReport)
        except msgspec.ValidationError:
            return None  # the reply is another agent's, who calls something else an error
    return event.error
