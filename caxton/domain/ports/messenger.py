"""The seam by which an agent speaks to others in the middle of a turn."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from caxton.domain.capability import Capability
from caxton.domain.message import Message, Performative


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent wants of another one while it answers the message with the id `request`.

    `to` is an agent, a capability, or an address of `domain.address`. `occurrence` counts the same errands that the
    turn had before: a turn that runs again has the same ones. `timeout` is in seconds; None for either leaves it to the
    messenger: the priority of the request, and most of the time that the agent has for the turn.
    """

    agent: str
    request: str
    to: str
    text: str
    occurrence: int = 0
    priority: int | None = None
    timeout: float | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that takes messages, as others are told of it."""

    name: str
    description: str = ""
    capabilities: tuple[Capability, ...] = ()


class Messenger(Protocol):
    """Sends messages of agents in whose turns they come up.

    They continue the trace of the message that the turn answers, and speak in a conversation of their own for each
    conversation and receiver, so that the receiver remembers what it was asked there before. An errand that is repeated
    because its turn runs again has the same message and the same reply: nobody does the work twice, unless it failed.
    That does not hold for what is kept in memory only.
    """

    async def ask(self, errand: Errand) -> Message:
        """Have one agent do something, and wait for its reply, of whatever performative that is.

        CaxtonError where none comes: what `ports.bus.Bus.ask` raises; `agent_not_found` naming the nearest agent or
        capability; `message_not_found` where the request is not under way (any more).
        """
        ...

    async def send(self, errand: Errand, performative: Performative) -> Sequence[Message]:
        """Send an agent, or all others of a group, a message, and do not wait; what each of them is delivered.

        A reply comes later, as a message of its own. CaxtonError as `ask` has it.
        """
        ...

    def find(self, agent: str, words: str, limit: int) -> list[Contact]:
        """The agents but for this one whose names, descriptions or capabilities have some of the words, best first.

        All of them, by name, where there are no words.
        """
        ...
