"""How a message ends: settled, failed, tried again or dead."""

import logging
import random

from caxton.bus.delivering import Delivering
from caxton.bus.directory import Directory
from caxton.bus.replies import Replies
from caxton.bus.watching import Watch
from caxton.domain.bus_settings import RetrySettings
from caxton.domain.delivery import Bury, BusEventKind, Failure, Retry, Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.delivery import DeliveryStore
from caxton.domain.protocol import ACTS

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds until what could not be stored is stored again."""


class Ending:
    """Puts down how receivers dealt with messages, and sees to it that the replies get where they belong."""

    def __init__(
        self,
        store: DeliveryStore,
        delivering: Delivering,
        *,
        directory: Directory,
        replies: Replies,
        watch: Watch,
        retries: RetrySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._delivering = delivering
        self._directory = directory
        self._replies = replies
        self._watch = watch
        self._retries = retries
        self._clock = clock

    async def settle(self, request: Message, state: MessageState, reply: Message | None) -> None:
        """As `ports.bus.Bus.settle` has it."""
        deliver = reply is not None and self._is_delivered(request, reply)
        if request.is_stored:
            await self._store_end(Settle(message_id=request.id, state=state, reply=reply, deliver=deliver))
        elif reply and deliver:
            self._delivering.unstored_reply(reply)
        if reply:
            self._replies.end(request.id, reply)
        if self._watch.active:
            kind = BusEventKind.SETTLED if state is MessageState.SETTLED else BusEventKind.FAILED
            self._watch.observe(kind, request, reply=reply)

    async def fail(self, request: Message, error: CaxtonError, reply: Message | None) -> float | None:
        """As `ports.bus.Bus.fail` has it."""
        if request.addressed is not None:
            self._directory.failed(request.receiver)
        told = request.awaited and error.code is not Code.DELIVERY_EXHAUSTED
        if told or not request.is_stored or error.code is Code.TURN_CANCELLED:
            await self.settle(request, MessageState.FAILED, reply)
            return None
        before = self._delivering.failures.get(request.id, ())
        failure = Failure(attempt=len(before) + 1, at=self._clock.now(), error=error.report())
        delay = self._retries.delay(failure.attempt, error, random.random())  # noqa: S311 - only spreads load
        if delay is None:
            await self._bury(request, failure, reply)
            return None
        at = failure.at + delay
        await self._commit(Retry(message_id=request.id, failure=failure, at=at))
        self._delivering.failures[request.id] = (*before, failure)
        self._watch.observe(BusEventKind.RETRIED, request, error=error)
        return at

    async def _bury(self, request: Message, failure: Failure, reply: Message | None) -> None:
        deliver = reply is not None and self._is_delivered(request, reply)
        await self._store_end(Bury(message_id=request.id, failure=failure, reply=reply, deliver=deliver))
        error = failure.error.error()
        log.error("message %s to %s is a dead letter: %s [%s]", request.id, request.receiver, error, error.code)
        if reply:
            self._replies.end(request.id, reply)
        self._watch.observe(BusEventKind.BURIED, request, error=error)

    async def _store_end(self, end: Settle | Bury) -> None:
        """Store the end of a request, and deliver the reply where it is to be."""
        below = self._store.last() if end.deliver else 0
        await self._commit(end)
        self._delivering.failures.pop(end.message_id, None)
        # Where the request had ended before, the reply was not stored.
        if end.deliver and end.reply and self._store.find(end.reply.id):
            self._delivering.stored(end.reply, below)

    async def _commit(self, change: Settle | Bury | Retry) -> None:
        """Store a change, as soon as the store takes it: what follows in the conversation waits for that.

        Whoever waits for a reply is told meanwhile. Where this process does not live to see it, the message comes
        again.
        """
        while True:
            try:
                await self._store.commit([change])
            except CaxtonError as error:
                if error.code is not Code.STORAGE_FAILED:
                    raise
                log.error("how message %s went could not be stored: %s", change.message_id, error)
                self._replies.postpone(change.message_id, error)
            else:
                return
            await self._clock.sleep(PAUSE)

    def _is_delivered(self, request: Message, reply: Message) -> bool:
        """Whether a reply goes to its receiver's mailbox."""
        return not request.awaited and ACTS[request.performative].answered and reply.receiver in self._directory
