"""How messages are accepted: in batches that make themselves, and delivered in the order in which they were stored."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message
from caxton.domain.ports.delivery import DeliveryStore

BATCH = 2000
"""Sendings that are stored together at most: it bounds how long the first of them waits for the last."""

Given = tuple[Message | Sequence[Message], asyncio.Future[Any]]
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

    def accept(self, message: Message) -> asyncio.Future[Message]:
        """What is stored now: the message, or the one that it repeats; once it is there, it is delivered too."""
        stored: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._gather(message, stored)
        return stored

    def accept_all(self, messages: Sequence[Message]) -> asyncio.Future[list[Message]]:
        """The same for several, which are stored together or not at all."""
        stored: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        self._gather(messages, stored)
        return stored

    async def finish(self) -> None:
        """Wait until everything that was given to it is stored and delivered."""
        while self._storing:
            await asyncio.wait([self._storing])

    def _gather(self, given: Message | Sequence[Message], stored: asyncio.Future[Any]) -> None:
        self._gathered.append((given, stored))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_all(), name="messages stored")

    async def _store_all(self) -> None:
        try:
            while self._gathered:
                batch, self._gathered = self._gathered[:BATCH], self._gathered[BATCH:]
                await self._store_some(batch)
        finally:
            self._storing = None

    async def _store_some(self, batch: list[Given]) -> None:
        messages: list[Message] = []
        for given, _ in batch:
            if isinstance(given, Message):
                messages.append(given)
            else:
                messages.extend(given)
        try:
            below = self._store.last()
            stored = await self._store.append(messages)
        except Exception as error:
            if len(batch) > 1 and not (isinstance(error, CaxtonError) and error.code is Code.STORAGE_FAILED):
                # One of them cannot be stored as it is: the others are not to suffer for it.
                for one in batch:
                    await self._store_some([one])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for message, kept in zip(messages, stored, strict=True):
            if kept is message:
                self._deliver(message, below)
        at = 0
        for given, done in batch:
            count = 1 if isinstance(given, Message) else len(given)
            if not done.done():
                done.set_result(stored[at] if isinstance(given, Message) else stored[at : at + count])
            at += count
