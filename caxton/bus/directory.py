"""Who is known to the bus, what each can do, and which of them a message goes to."""

import random
from collections.abc import Collection, Sequence

from caxton.bus.balancing import MOST, Context, Member, Pool, balancer
from caxton.domain.address import AddressKind, read_address
from caxton.domain.bus_settings import Balance
from caxton.domain.capability import Capability, Provider, by_name, read_capability
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.json_schema import JsonSchema
from caxton.domain.message import Message, Performative
from caxton.domain.ports.bus import Mailbox
from caxton.domain.suggestion import did_you_mean

CHECKED = frozenset({Performative.REQUEST, Performative.QUERY_IF, Performative.QUERY_REF})
"""What has to fit the input schema of the capability that it asks for."""
SHOWN = 10
"""As many capabilities as an error names all of them."""


class Offer:
    """A capability as one agent offers it."""

    __slots__ = ("_input", "capability")

    def __init__(self, capability: Capability) -> None:
        self.capability = capability
        self._input: JsonSchema | None = None

    def check(self, message: Message, address: str) -> None:
        """Raise CaxtonError `content_mismatch` where a request's content does not fit the input schema."""
        schema = self.capability.input
        if schema is None or message.performative not in CHECKED:
            return
        if self._input is None:
            self._input = JsonSchema(schema)
        if misfit := self._input.misfit(message.content):
            name = str(self.capability.name)
            raise CaxtonError(
                Code.CONTENT_MISMATCH,
                f"The content is not what {address!r} takes for {name!r}: {misfit}.",
                hint=f"`caxton capability show {name}` has its schema.",
            )


class Directory:
    """Everybody by address, and agents by what they can do.

    A capability is found under its name, and with a version also under both: an agent that offers `charts:v2` is one
    for `charts` and one for `charts:v2`. Adding and removing an agent costs what it offers, whoever else there is.
    """

    def __init__(self, balance: Balance = Balance.CONTEXT, *, rng: random.Random | None = None) -> None:
        self._balancer = balancer(balance, rng or random.Random())  # noqa: S311 - a choice among equals
        self._members: dict[str, Member] = {}
        self._offers: dict[str, dict[str, Offer]] = {}
        """By address, and then by every name that it is found under."""
        self._pools: dict[str, Pool] = {}

    def add(self, address: str, mailbox: Mailbox, capabilities: Sequence[Capability] = ()) -> None:
        """Make somebody known; what was known of them is replaced, but for how fast they are."""
        member = self._members.get(address)
        if member is None:
            member = self._members[address] = Member(address, mailbox)
        member.mailbox = mailbox
        before = self._offers.get(address, {})
        made = {id(one): Offer(one) for one in capabilities}
        offers = {name: made[id(one)] for name, one in by_name(capabilities).items()}
        for name in before.keys() - offers.keys():
            self._leave(name, address)
        for name in offers:
            if name not in before:
                self._pools.setdefault(name, Pool()).add(member)
        if offers:
            self._offers[address] = offers
        else:
            self._offers.pop(address, None)

    def remove(self, address: str) -> None:
        """Forget somebody; nothing happens where they are not known."""
        if self._members.pop(address, None):
            for name in self._offers.pop(address, {}):
                self._leave(name, address)

    def __contains__(self, address: str) -> bool:
        return address in self._members

    def addresses(self) -> Collection[str]:
        """Everybody who is known, in the order in which they became so; changes with the directory."""
        return self._members.keys()

    def find(self, address: str) -> Mailbox | None:
        """Somebody's mailbox; None where there is nobody of that address."""
        member = self._members.get(address)
        return member.mailbox if member else None

    def mailbox(self, address: str) -> Mailbox:
        """Somebody's mailbox; CaxtonError `agent_not_found` naming the nearest address."""
        if member := self._members.get(address):
            return member.mailbox
        hint = did_you_mean(address, self._members)
        raise CaxtonError(Code.AGENT_NOT_FOUND, f"There is no agent {address!r}.", hint=hint)

    def capabilities(self, address: str) -> tuple[Capability, ...]:
        """What somebody offers; nothing where they are not known."""
        offers = self._offers.get(address, {}).values()
        return tuple({id(offer): offer.capability for offer in offers}.values())

    def offers(self) -> list[Provider]:
        """Everything that anybody offers."""
        return [
            Provider(
                agent=address,
                capability=capability,
                waiting=member.mailbox.depth,
                limit=member.mailbox.limit,
                seconds=member.seconds,
            )
            for address, member in ((address, self._members[address]) for address in self._offers)
            for capability in self.capabilities(address)
        ]

    def providers(self, capability: str) -> list[str]:
        """The addresses of all that offer a capability, `charts` or `charts:v2`; none where nobody does."""
        pool = self._pool(capability)
        return [member.address for member in pool] if pool else []

    def resolve(self, message: Message, *, avoid: Collection[str] = ()) -> str:
        """The address of the one that a message goes to, by its `receiver`: an agent, or one with a capability.

        Of the agents with a capability the balancing chooses among those whose mailboxes admit the message; where none
        does, one that is only full: there it may wait. Those in `avoid` get nothing. Where nobody offers the
        capability, the agent of that very name is meant.

        CaxtonError: `agent_not_found`; `capability_not_found` naming the nearest; `delegation_loop` where only those in
        `avoid` could; the refusal of a mailbox (`agent_not_running`) where all that could refuse;
        `content_mismatch` where the content does not fit the input schema of the one that was chosen. A single agent's
        mailbox is not asked whether it admits the message.
        """
        kind, name = read_address(message.receiver)
        if kind is not AddressKind.CAPABILITY:
            self.mailbox(message.receiver)
            self._avoiding(message, message.receiver, avoid)
            return message.receiver
        pool = self._pool(name)
        if pool is None:
            if name not in self._members:
                raise self._unknown(name)
            self._avoiding(message, name, avoid)
            return name
        address = self._choose(pool, name, message, avoid).address
        if isinstance(self._balancer, Context):
            # At once, so that what follows before the answer is there goes the same way.
            self._balancer.spoke(message.conversation_id, address)
        offers = self._offers[address]
        (offers.get(name) or offers[str(read_capability(name))]).check(message, address)
        return address

    def spoke(self, conversation_id: str, address: str) -> None:
        """Note that somebody said something in a conversation, for the balancing by context."""
        if isinstance(self._balancer, Context) and address in self._offers:
            self._balancer.spoke(conversation_id, address)

    def measured(self, address: str, seconds: float) -> None:
        """Note how long somebody took over a message, for the balancing by speed."""
        if member := self._members.get(address):
            member.measured(seconds)

    def failed(self, address: str) -> None:
        """Note that somebody failed on a message: for the balancing by speed that is slow, however soon it was."""
        if member := self._members.get(address):
            member.failed()

    def _choose(self, pool: Pool, name: str, message: Message, avoid: Collection[str]) -> Member:
        refusal: CaxtonError | None = None

        def fits(member: Member) -> bool:
            nonlocal refusal
            if member.address in avoid:
                return False
            try:
                member.mailbox.admit(message)
            except CaxtonError as error:
                # That one is full says more than that another does not run: waiting helps.
                if refusal is None or refusal.code is not Code.MAILBOX_FULL:
                    refusal = error
                return False
            return True

        if found := self._balancer.choose(pool, message, fits):
            return found
        if refusal is None:
            raise _loop(message, f"Only {_listed(pool)} can do {name!r}")
        if refusal.code is Code.MAILBOX_FULL and (full := self._full(pool, message, avoid)):
            return full
        if len(pool) == 1:
            raise refusal
        raise CaxtonError(
            refusal.code,
            f"None of {min(len(pool), MOST)} agents that can do {name!r} takes a message now.",
            why=refusal.message,
            hint=refusal.hint,
        )

    def _full(self, pool: Pool, message: Message, avoid: Collection[str]) -> Member | None:
        """One that takes messages, if it had room."""

        def runs(member: Member) -> bool:
            if member.address in avoid:
                return False
            try:
                member.mailbox.admit(message)
            except CaxtonError as error:
                return error.code is Code.MAILBOX_FULL
            return True

        return self._balancer.choose(pool, message, runs)

    def _avoiding(self, message: Message, address: str, avoid: Collection[str]) -> None:
        if address in avoid:
            raise _loop(message, f"{address!r} was to go on with this")

    def _pool(self, name: str) -> Pool | None:
        return self._pools.get(name) or self._pools.get(str(read_capability(name)))

    def _leave(self, name: str, address: str) -> None:
        pool = self._pools[name]
        pool.remove(address)
        if not pool:
            del self._pools[name]

    def _unknown(self, name: str) -> CaxtonError:
        if not self._pools:
            why = "No agent offers any capability."
        elif len(self._pools) <= SHOWN:
            why = f"What there is: {', '.join(sorted(self._pools))}."
        else:
            why = ""
        hint = did_you_mean(name, self._pools)
        return CaxtonError(Code.CAPABILITY_NOT_FOUND, f"No agent can do {name!r}.", why=why, hint=hint)


def _loop(message: Message, what: str) -> CaxtonError:
    path = (*message.path, message.sender) if message.sender not in message.path[-1:] else message.path
    return CaxtonError(Code.DELEGATION_LOOP, f"{what}, and the work has been there already: {' → '.join(path)}.")


def _listed(pool: Pool) -> str:
    names = sorted(member.address for member in pool)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
