"""The company that an agent keeps: who else takes part in its conversation, and what was said there by whom.

All of it comes from the messages of the conversation as they are stored. What is said to several agents is stored once
for each of them; here it is said once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from caxton.domain.address import read_address
from caxton.domain.completion import Role
from caxton.domain.conversation import Group, ParticipantKind
from caxton.domain.message import Exchange, Message, Performative
from caxton.domain.ports.conversations import GroupStore
from caxton.domain.protocol import ACTS
from caxton.runtime.offered import wording
from caxton.runtime.window import Line

MOST_READ = 1000
"""Messages that are read for one prompt at most."""
UNSAID = (Performative.FAILURE, Performative.NOT_UNDERSTOOD)
"""Replies that are no part of the talk."""


class Company:
    """Tells agents of their groups. `describe` has what an agent is for; empty where it is not there."""

    def __init__(self, groups: GroupStore, describe: Callable[[str], str]) -> None:
        self._groups = groups
        self._describe = describe

    def find(self, request: Message) -> Group | None:
        """The group in which something is asked; None in a talk of two."""
        return self._groups.find(request.conversation_id)

    def introduce(self, group: Group, agent: str) -> str:
        """One line for the system prompt, which names the others; empty where there are none."""
        others = [one for one in group.participants if one.name != agent]
        if not others:
            return ""
        named = []
        for one in others:
            about = self._describe(one.name) if one.kind is ParticipantKind.AGENT else ""
            named.append(f"{one.name} ({' '.join(about.split())})" if about else one.name)
        return f"You are {agent}. You are in a conversation with {', '.join(named)}. Speak for yourself only."


def reading(group: Group, turns: int) -> int:
    """How many messages to read for as many turns of a group: a turn is something said, and what each agent answers."""
    return min(MOST_READ, 2 * turns * max(1, len(group.agents)))


class Said(NamedTuple):
    """A message as it was said; `request` is what it answers, if anything."""

    message: Message
    request: Message | None = None


def said_before(messages: Sequence[Message], request: Message) -> list[Said]:
    """What was said in a conversation up to a request, oldest first, the request included.

    `messages` are the conversation's, in the order in which they were stored. Counted as said before it are earlier
    messages and the replies to them, however late; but of the replies to the same message those alone that were there
    when the request was stored, so that agents that are asked at once do not see what the others answer. Requests that
    nobody answered are left out, and so are failures and what has no content.

    What the asked agent said itself comes right after what it answered, before what it did not know then: so its next
    prompt begins as this one does.
    """
    places = {message.id: place for place, message in enumerate(messages)}
    by_id = {message.id: message for message in messages}
    now = places.get(request.id, len(messages))
    current = _saying(request)
    answered = {
        _saying(by_id[message.in_reply_to])
        for message in messages
        if message.in_reply_to in by_id and message.performative not in UNSAID
    }
    known: set[object] = set()
    said: list[tuple[float, Said]] = []
    for place, message in enumerate(messages):
        saying = _saying(message)
        if saying in known or not wording(message).strip():
            continue
        asked = by_id.get(message.in_reply_to) if message.in_reply_to else None
        if saying == current:
            is_part = True
        elif message.in_reply_to is not None:
            late = asked is not None and places[asked.id] < now and _saying(asked) != current
            is_part = message.performative not in UNSAID and (place < now or late)
        else:
            is_part = place < now and (saying in answered or not ACTS[message.performative].answered)
        if is_part:
            known.add(saying)
            is_own = asked is not None and message.sender == request.receiver
            said.append((places[asked.id] + 0.5 if asked and is_own else place, Said(message, asked)))
    if current not in known:
        said.append((now, Said(request)))
    return [one for _, one in sorted(said, key=lambda pair: pair[0])]


def lines(said: Sequence[Said], agent: str, request: Message) -> list[Line]:
    """What was said as the agent reads it: others' words with their names."""
    return [_line(message, agent, is_current=_saying(message) == _saying(request)) for message, _ in said]


def exchanges(said: Sequence[Said]) -> tuple[Exchange, ...]:
    """What of it was a request with its reply."""
    return tuple(Exchange(one.request, one.message) for one in said if one.request)


def _saying(message: Message) -> object:
    """The same for all messages that say one thing to several at once."""
    if message.addressed and not read_address(message.addressed).is_one:
        return message.sender, message.reply_with or message.created_at, message.text
    return message.id


def _line(message: Message, agent: str, *, is_current: bool) -> Line:
    if message.sender == agent and not is_current:
        return Line(id=message.id, role=Role.ASSISTANT, text=wording(message))
    text = f"{message.sender}: {wording(message)}"
    return Line(id=message.id, role=Role.USER, text=text, current=is_current)
