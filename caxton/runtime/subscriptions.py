"""Whoever hears of an agent's changes of state (FIPA SC00035H, subscribe interaction protocol)."""

import asyncio
import logging

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.lifecycle import LifecycleEvent
from caxton.domain.message import Message, Performative, answer_to
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock

log = logging.getLogger(__name__)

KEY = "subscriptions"
"""Under which they are kept in the agent's state."""
MOST = 1000
"""Subscribers that an agent takes."""


class Subscriptions:
    """Kept with the agent's state, so that they outlive the server."""

    def __init__(self, *, bus: Bus, clock: Clock, new_id: IdSource) -> None:
        self._bus = bus
        self._clock = clock
        self._new_id = new_id
        self._changing = asyncio.Lock()
        """Held from reading the subscriptions to writing them."""

    async def add(self, subscribe: Message) -> None:
        """Have its sender told from now on. A second one in the same conversation takes the place of the first."""
        async with self._changing:
            others = [one for one in self._of(subscribe.receiver) if not _same(one, subscribe)]
            if len(others) >= MOST:
                detail = f"{subscribe.receiver!r} has {MOST} subscribers, and takes no more."
                raise CaxtonError(Code.MAILBOX_FULL, detail)
            await self._keep(subscribe.receiver, [*others, subscribe])

    async def end(self, cancel: Message) -> int:
        """Take out what the sender of a cancel had subscribed to in its conversation; how many that were.

        A cancel that names another message leaves subscriptions as they are.
        """
        async with self._changing:
            before = self._of(cancel.receiver)
            after = [one for one in before if not _same(one, cancel) or cancel.in_reply_to not in (None, one.id)]
            if len(after) < len(before):
                await self._keep(cancel.receiver, after)
            return len(before) - len(after)

    async def tell(self, event: LifecycleEvent) -> None:
        """Inform every subscriber of a change. One that cannot be reached is passed over, and told of the next."""
        for subscribe in self._of(event.agent):
            text = f"Agent {event.agent!r} is {event.target} now, and was {event.source}. {event.reason}".strip()
            content = {"text": text, "event": msgspec.to_builtins(event)}
            inform = answer_to(subscribe, Performative.INFORM, content, id=self._new_id(), now=self._clock.now())
            try:
                await self._bus.send(inform)
            except CaxtonError as error:
                log.warning("subscriber %s of %s was not told: %s", subscribe.sender, event.agent, error)

    def _of(self, agent: str) -> list[Message]:
        return msgspec.convert(self._bus.recall(agent, KEY) or [], list[Message])

    async def _keep(self, agent: str, subscriptions: list[Message]) -> None:
        async with self._bus.transaction() as transaction:
            transaction.remember(agent, KEY, msgspec.to_builtins(subscriptions) or None)


def _same(one: Message, other: Message) -> bool:
    return (one.sender, one.conversation_id) == (other.sender, other.conversation_id)
