"""Groups as the bus knows them: who is meant by `group:ID`, and when a silent one is closed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.conversations import GroupStore

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks for groups that have been silent too long."""


class StoredGroups:
    """Implements `ports.bus.Groups`: the participants of an open group. A closed one has none."""

    def __init__(self, store: GroupStore) -> None:
        self._store = store

    def members(self, conversation_id: str) -> Sequence[str]:
        group = self._store.find(conversation_id)
        return tuple(one.name for one in group.participants) if group and group.is_open else ()


@asynccontextmanager
async def open_groups(store: GroupStore, *, clock: Clock, idle: float | None) -> AsyncIterator[StoredGroups]:
    """The groups of a store; until the end of the block, those that nobody speaks in are closed.

    `idle` is after how many seconds where a group does not say; None is never.
    """
    keeping = asyncio.create_task(_close_idle(store, clock, idle), name="idle conversations")
    try:
        yield StoredGroups(store)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _close_idle(store: GroupStore, clock: Clock, idle: float | None) -> None:
    while True:
        try:
            for id in await store.close_idle(clock.now(), idle=idle):
                log.info("conversation %s was closed: nobody has spoken in it for its idle time", id)
        except CaxtonError as error:
            log.warning("silent conversations are not closed: %s", error)
        await clock.sleep(EVERY)
