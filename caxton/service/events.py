"""The operations on the feed of events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from typing import TypeVar

import msgspec

from caxton.domain.delivery import BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Performative
from caxton.domain.observation import Filter
from caxton.domain.ports.observation import Feed, Reader
from caxton.domain.suggestion import did_you_mean
from caxton.service.api.events import EventsQuery, FeedEvent, feed_event

Word = TypeVar("Word", bound=StrEnum)


class Wish:
    """What one reader wants to hear of, and may change while it reads.

    CaxtonError `parameter_invalid` where the query has a word that is not known.
    """

    def __init__(self, query: EventsQuery) -> None:
        self.filter = filter_of(query)
        self.after = query.after
        self.reader: Reader | None = None

    def change(self, query: EventsQuery) -> None:
        """Want something else from the next `open` event on."""
        self.filter = filter_of(query)
        if self.reader:
            self.reader.want(self.filter)


class EventService:
    """`stream` is the operation of `service.api.events`; `follow` is for whoever changes its wish meanwhile."""

    def __init__(self, *, feed: Feed) -> None:
        self._feed = feed

    async def stream(
        self,
        *,
        agent: str | None = None,
        conversation_id: str | None = None,
        kind: str | None = None,
        performative: str | None = None,
        sender: str | None = None,
        trace_id: str | None = None,
        after: str | None = None,
    ) -> AsyncGenerator[FeedEvent]:
        """Events until the server stops, an `open` among the first. CaxtonError `parameter_invalid` before them."""
        query = EventsQuery(
            agent=agent,
            conversation_id=conversation_id,
            kind=kind,
            performative=performative,
            sender=sender,
            trace_id=trace_id,
            after=after,
        )
        async with aclosing(self.follow(Wish(query))) as events:
            async for event in events:
                yield event

    async def follow(self, wish: Wish) -> AsyncGenerator[FeedEvent]:
        """Events that fit a wish, until the server stops. Closing it ends the reading."""
        with self._feed.read(wish.filter, after=wish.after) as reader:
            wish.reader = reader
            while observed := await reader.next():
                yield feed_event(observed)


def filter_of(query: EventsQuery) -> Filter:
    """The filter that a query asks for; CaxtonError `parameter_invalid`."""
    fields = msgspec.structs.asdict(query)
    del fields["after"], fields["kind"], fields["performative"]
    return Filter(
        kinds=frozenset(_words("kind", query.kind, BusEventKind)),
        performatives=frozenset(_words("performative", query.performative, Performative)),
        **fields,
    )


def _words(name: str, text: str | None, known: type[Word]) -> list[Word]:
    """The words of a list with commas."""
    found = []
    for word in (part.strip() for part in (text or "").split(",")):
        if not word:
            continue
        if word not in set(known):
            hint = did_you_mean(word, map(str, known)) or f"Known: {', '.join(known)}."
            raise CaxtonError(Code.PARAMETER_INVALID, f"`{name}` cannot be {word[:80]!r}.", hint=hint)
        found.append(known(word))
    return found
