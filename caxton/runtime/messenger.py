"""Messages that agents send each other in the middle of their turns."""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b, sha256
from itertools import count

from caxton.domain.address import AddressKind, capability_address, read_address
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.domain.misunderstanding import LONGEST_NAME
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messenger import Contact, Errand
from caxton.domain.suggestion import did_you_mean
from caxton.domain.trace import traceparent

SHARE = 0.8
"""Of the time that an agent has for a turn, what a reply may take: the rest is for doing without one."""
WORD = re.compile(r"\w+")


class BusMessenger:
    """Implements `ports.messenger.Messenger`.

    `contacts` has every agent that takes messages, `able` the names of those with a capability, `patience` the seconds
    that an agent has for a turn.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        contacts: Callable[[], Iterable[Contact]],
        able: Callable[[str], Sequence[str]],
        patience: Callable[[str], float],
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._bus = bus
        self._contacts = contacts
        self._able = able
        self._patience = patience
        self._clock = clock
        self._new_id = new_id

    async def ask(self, errand: Errand) -> Message:
        parent = self._parent(errand)
        now = self._clock.now()
        seconds = SHARE * self._patience(errand.agent) if errand.timeout is None else errand.timeout
        reply_by = min(now + seconds, parent.reply_by or float("inf"))
        if reply_by <= now:
            raise CaxtonError(Code.REPLY_TIMEOUT, f"There is no time left to ask {errand.to!r}.")
        for attempt in count():
            message = self._message(errand, parent, Performative.REQUEST, reply_by, kind=f"ask-{attempt}")
            reply = await self._bus.ask(message)
            # What failed when the turn ran before is worth another try: that may be why it runs again.
            if reply.in_reply_to == message.id or reply.performative is not Performative.FAILURE:
                return reply
        raise AssertionError("what was never sent before is not repeated")

    async def send(self, errand: Errand, performative: Performative) -> Sequence[Message]:
        parent = self._parent(errand)
        reply_by = None if errand.timeout is None else self._clock.now() + errand.timeout
        message = self._message(errand, parent, performative, reply_by, kind=performative)
        if read_address(message.receiver).is_one:
            return [await self._bus.send(message)]
        return await self._bus.broadcast(message)

    def find(self, agent: str, words: str, limit: int) -> list[Contact]:
        wanted = _words(words)
        others = sorted((one for one in self._contacts() if one.name != agent), key=lambda one: one.name)
        if not wanted:
            return others[:limit]
        scored = [(_score(one, wanted), one) for one in others]
        # Sorting keeps the order of the names among equals.
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])
        return [one for _, one in best[:limit]]

    def _parent(self, errand: Errand) -> Message:
        """The message that the errand's turn answers."""
        if parent := self._bus.under_way(errand.request):
            return parent
        raise CaxtonError(
            Code.MESSAGE_NOT_FOUND,
            f"Agent {errand.agent!r} is not at work on a message {errand.request!r}.",
            hint="Agents send messages in the middle of their turns only.",
        )

    def _message(
        self, errand: Errand, parent: Message, performative: Performative, reply_by: float | None, *, kind: str
    ) -> Message:
        address = self._address(errand.to)
        id = self._new_id()
        # What is not stored is not looked up again: its turn does not run again either.
        key = _key(errand, address, kind) if parent.is_stored else None
        return Message(
            id=id,
            performative=performative,
            sender=errand.agent,
            receiver=address,
            conversation_id=_conversation(parent.conversation_id, address),
            created_at=self._clock.now(),
            content={"text": errand.text},
            reply_by=reply_by,
            priority=parent.priority if errand.priority is None else errand.priority,
            idempotency_key=key,
            hops=parent.hops + 1,
            trace=traceparent(id, parent.trace or traceparent(parent.id)),
            durability=parent.durability,
            cause=parent.id,
            path=(*parent.path, errand.agent),
        )

    def _address(self, to: str) -> str:
        """Whom the model means: it says what somebody is called or can do, or writes an address."""
        address = read_address(to)
        if address.kind is not AddressKind.AGENT:
            return to
        contacts = list(self._contacts())
        if any(one.name == to for one in contacts):
            return to
        if self._able(to):
            return capability_address(to)
        names = [name for one in contacts for name in (one.name, *(str(offer.name) for offer in one.capabilities))]
        raise CaxtonError(
            Code.AGENT_NOT_FOUND, f"There is no agent and no capability {to!r}.", hint=did_you_mean(to, names)
        )


def _key(errand: Errand, address: str, kind: str) -> str:
    """The same for an errand whenever its turn runs, another for every other one."""
    parts = (errand.request, kind, address, str(errand.occurrence), errand.text)
    # Lengths go before the parts, so that no two different rows of parts read the same.
    told = "".join(f"{len(part)}:{part}" for part in parts)
    return f"{kind}-{blake2b(told.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def _conversation(parent: str, address: str) -> str:
    """The conversation that is carried on with an address because of another conversation; with a group its own."""
    kind, group = read_address(address)
    if kind is AddressKind.GROUP:
        return group
    name = f"{parent}/{address}"
    return name if len(name) <= LONGEST_NAME else f"{sha256(parent.encode()).hexdigest()[:32]}/{address}"


def _words(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def _score(contact: Contact, wanted: list[str]) -> float:
    """How well an agent fits: a word in what it is called or can do counts twice one in a description."""
    named = _words(" ".join([contact.name, *(str(offer.name) for offer in contact.capabilities)]))
    told = _words(" ".join([contact.description, *(offer.description for offer in contact.capabilities)]))
    return sum(2 * _fit(word, named) + _fit(word, told) for word in wanted)


def _fit(word: str, words: list[str]) -> float:
    """1 where the word is there, a half where one begins like it: `chart` and `charts`, `analysing` and `analysis`."""
    if word in words:
        return 1.0
    stem = word[: max(4, len(word) - 3)]
    return 0.5 if len(stem) >= 4 and any(one.startswith(stem) for one in words) else 0.0
