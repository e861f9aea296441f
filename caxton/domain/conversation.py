"""Conversations that several take part in: groups, to which `group:ID` is the address."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class History(StrEnum):
    """What an agent of a group is given of what was said before.

    shared   all of it, by whom it was said, also what was said before the agent joined
    private  its own exchanges with whoever speaks to it now
    """

    SHARED = "shared"
    PRIVATE = "private"


class Order(StrEnum):
    """In which order a group's agents answer what is said to it.

    together  all at once; none sees what the others answer to the same message
    in-turn   one after another as they joined; each sees what those before it said
    """

    TOGETHER = "together"
    IN_TURN = "in-turn"


class ParticipantKind(StrEnum):
    """An agent is asked when something is said; a person only speaks."""

    AGENT = "agent"
    PERSON = "person"


class Participant(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who takes part, or did until `left_at`. Times are in seconds since the epoch, UTC."""

    name: str
    kind: ParticipantKind
    joined_at: float
    left_at: float | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with participants: those who take part now, in the order in which they joined.

    `metadata` is whatever JSON its maker wants to keep with it. After `idle` seconds in which nobody speaks it is
    closed, after as many as the server's settings say where that is None. A closed one takes no messages; it can be
    read, and reopened.
    """

    id: str
    created_at: float
    title: str = ""
    metadata: Mapping[str, Any] = {}
    history: History = History.SHARED
    order: Order = Order.TOGETHER
    idle: float | None = None
    closed_at: float | None = None
    participants: tuple[Participant, ...] = ()

    @property
    def agents(self) -> tuple[str, ...]:
        """Those who are asked, in the order in which they joined."""
        return tuple(one.name for one in self.participants if one.kind is ParticipantKind.AGENT)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class Departed(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased of a person: the groups that went with all that was kept of them, and how often it had joined."""

    groups: tuple[str, ...]
    participations: int
