"""How messages are accepted: in batches that make themselves, and delivered in the order in which they were stored."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message
from caxton.domain.ports.delivery import DeliveryStore

BATCH = 2000
"""Messages that are stored together at most: it bounds how long the first of them waits for the last."""

Given = tuple[Sequence[Message], asyncio.Future[list[Message]]]
Deliver = Callable[[Message, int], None]
"""Takes a message that is stored now, and a sequence number below its own."""


class Acceptor:
    """Stores messages and has them delivered. While one batch is on its way to the disk the next one gathers.

    What was given to it is stored and delivered, whether or not its sender goes on waiting.
    """

    def __init__(self, store: DeliveryStore, deliver: Deliver) -> None:
        self._store = store
        self._deliver = deliver
        self._gathered: list[Given] = []
        self._storing: asyncio.Task[None] | None = None

    def accept(self, messages: Sequence[Message]) -> asyncio.Future[list[Message]]:
        """What is stored of them now, as `DeliveryStore.append` has it; once it is there, they are delivered too."""
        stored: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        self._gathered.append((messages, stored))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_all(), name="messages stored")
        return stored

    async def finish(self) -> None:
        """Wait until everything that was given to it is stored and delivered."""
        while self._storing:
            await asyncio.wait([self._storing])

    async def _store_all(self) -> None:
        try:
            while self._gathered:
                await self._store_some(self._batch())
        finally:
            self._storing = None

    def _batch(self) -> list[Given]:
        size = count = 0
        for messages, _ in self._gathered:
            size += len(messages)
            count += 1
            if size >= BATCH:
                break
        batch, self._gathered = self._gathered[:count], self._gathered[count:]
        return batch

    async def _store_some(self, batch: list[Given]) -> None:
        try:
            below = self._store.last()
            stored = iter(await self._store.append([message for messages, _ in batch for message in messages]))
        except Exception as error:
            if len(batch) > 1 and not (isinstance(error, CaxtonError) and error.code is Code.STORAGE_FAILED):
                # One of them cannot be stored as it is: the others are not to suffer for it.
                for given in batch:
                    await self._store_some([given])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for messages, done in batch:
            kept = list(islice(stored, len(messages)))
            for message, one in zip(messages, kept, strict=True):
                if one is message:
                    self._deliver(message, below)
            if not done.done():
                done.set_result(kept)
