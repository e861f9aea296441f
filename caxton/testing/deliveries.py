"""Messages on their way, in memory: what is beneath the other parts of the message store of tests."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from caxton.domain.address import AddressKind, read_address
from caxton.domain.delivery import Bury, Change, Claimed, Failure, Remember, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState, Performative, StoredMessage

TRACE = slice(3, 35)
"""Where a traceparent has its trace id."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A message and what is kept of it. `agent` is the one that it is to, or the reply of."""

    seq: int
    message: Message
    state: MessageState
    agent: str
    in_reply_to: str | None
    key: tuple[str, str, str] | None = None
    attempts: int = 0
    not_before: float | None = None
    failures: tuple[Failure, ...] = ()
    died_at: float | None = None

    @property
    def stored(self) -> StoredMessage:
        return StoredMessage(message=self.message, state=self.state, attempts=self.attempts)


class MemoryDelivery:
    """Implements `ports.delivery.DeliveryStore`."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        """By id, in the order of their sequence numbers."""
        self._keys: dict[tuple[str, str, str] | None, str] = {}
        self._replies: defaultdict[str, list[str]] = defaultdict(list)
        self._waiting: defaultdict[str, dict[str, None]] = defaultdict(dict)
        """The ids of accepted messages by receiver, in the order of their sequence numbers."""
        self._state: dict[tuple[str, str], bytes] = {}
        self._last = 0

    async def append(self, messages: Sequence[Message]) -> list[Message]:
        return [self._accept(message) for message in messages]

    async def commit(self, changes: Sequence[Change]) -> None:
        for change in changes:
            match change:
                case Send(message):
                    self._accept(message)
                case Settle(message_id=message_id, state=state):
                    if held := self._accepted(message_id):
                        self._end(held, state)
                        self._reply(change)
                case Bury(message_id=message_id, failure=failure):
                    if held := self._accepted(message_id):
                        self._bury(held, failure)
                        self._reply(change)
                case Retry(message_id=message_id, failure=failure, at=at):
                    if held := self._accepted(message_id):
                        held.not_before = at
                        held.failures = (*held.failures, failure)
                case Remember(agent=agent, key=key, value=None):
                    self._state.pop((agent, key), None)
                case Remember(agent=agent, key=key, value=value):
                    self._state[agent, key] = msgspec.json.encode(value)

    async def begin(self, message_id: str) -> int:
        held = self._held.get(message_id)
        if held is None:
            raise CaxtonError(Code.MESSAGE_NOT_FOUND, f"There is no stored message {message_id!r}.")
        held.attempts += 1
        return held.attempts

    async def claim(self, receiver: str, *, after: int, limit: int) -> list[Claimed]:
        waiting = (self._held[message_id] for message_id in self._waiting[receiver])
        return [_claimed(held) for held in waiting if held.seq > after][:limit]

    async def waiting(self, receiver: str) -> int:
        return len(self._waiting[receiver])

    async def receivers(self) -> dict[str, int]:
        return {receiver: len(ids) for receiver, ids in self._waiting.items() if ids}

    def last(self) -> int:
        return next((held.seq for held in reversed(self._held.values())), 0)

    def find(self, message_id: str) -> StoredMessage | None:
        held = self._held.get(message_id)
        return held.stored if held else None

    def keyed(self, *, receiver: str, sender: str, key: str) -> Message | None:
        message_id = self._keys.get((receiver, sender, key))
        return None if message_id is None else self._held[message_id].message

    def reply_to(self, message_id: str) -> Message | None:
        messages = [self._held[one].message for one in self._replies.get(message_id, ())]
        replies = [message for message in messages if message.performative is not Performative.CANCEL]
        beyond = [reply for reply in replies if reply.performative is not Performative.AGREE]
        return next(iter(beyond or replies), None)

    def recall(self, agent: str, key: str) -> Any:
        value = self._state.get((agent, key))
        return None if value is None else msgspec.json.decode(value)

    def _accept(self, message: Message) -> Message:
        if (key := _key(message)) in self._keys:
            return msgspec.structs.replace(self._held[self._keys[key]].message)
        if message.id in self._held:
            # Another object than what is given, which may be the very one that is held.
            return msgspec.structs.replace(self._held[message.id].message)
        self._add(message, MessageState.ACCEPTED, message.receiver)
        return message

    def _add(self, message: Message, state: MessageState, agent: str) -> None:
        if message.id in self._held or _key(message) in self._keys:
            return
        held = Held(seq=self._number(), message=message, state=state, agent=agent, in_reply_to=message.in_reply_to)
        self._held[message.id] = held
        self._take_key(held)
        if held.in_reply_to is not None:
            self._replies[held.in_reply_to].append(message.id)
        if state is MessageState.ACCEPTED:
            self._waiting[message.receiver][message.id] = None

    def _number(self) -> int:
        self._last += 1
        return self._last

    def _accepted(self, message_id: str) -> Held | None:
        held = self._held.get(message_id)
        return held if held and held.state is MessageState.ACCEPTED else None

    def _end(self, held: Held, state: MessageState) -> None:
        held.state = state
        del self._waiting[held.message.receiver][held.message.id]

    def _bury(self, held: Held, failure: Failure) -> None:
        self._end(held, MessageState.DEAD)
        held.failures = (*held.failures, failure)
        held.died_at = failure.at

    def _reply(self, change: Settle | Bury) -> None:
        if change.reply:
            state = MessageState.ACCEPTED if change.deliver else MessageState.SETTLED
            self._add(change.reply, state, change.reply.sender)

    def _take_key(self, held: Held) -> None:
        """Have a message be the one that its key stands for, unless there is one."""
        key = _key(held.message)
        if key is not None and key not in self._keys:
            held.key = key
            self._keys[key] = held.message.id

    def _release_key(self, held: Held) -> None:
        if held.key is not None:
            del self._keys[held.key]
            held.key = None

    def _unreply(self, held: Held) -> None:
        if held.in_reply_to is not None:
            self._replies[held.in_reply_to].remove(held.message.id)
            held.in_reply_to = None

    def _delete(self, held: Held) -> None:
        self._release_key(held)
        self._unreply(held)
        self._waiting[held.message.receiver].pop(held.message.id, None)
        del self._held[held.message.id]


def _key(message: Message) -> tuple[str, str, str] | None:
    """To whom its sender meant it, sender and idempotency key, where it has one."""
    key, addressed = message.idempotency_key, message.addressed
    by_capability = addressed is not None and read_address(addressed).kind is AddressKind.CAPABILITY
    receiver = addressed if addressed is not None and by_capability else message.receiver
    return None if key is None else (receiver, message.sender, key)


def _claimed(held: Held) -> Claimed:
    return Claimed(
        seq=held.seq,
        message=held.message,
        attempts=held.attempts,
        not_before=held.not_before,
        failures=held.failures,
    )
