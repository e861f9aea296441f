"""A function that deals with the messages of an address."""

import logging

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, MessageState, Performative, answer_to
from caxton.domain.ports.bus import Bus, Handler
from caxton.domain.ports.clock import Clock
from caxton.domain.protocol import ACTS

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds until what could not be stored is stored again."""


class Served:
    """What an inbox does with messages for a handler: hands them over, and puts down how it went."""

    def __init__(self, address: str, handler: Handler, bus: Bus, clock: Clock, new_id: IdSource) -> None:
        self._address = address
        self._handler = handler
        self._bus = bus
        self._clock = clock
        self._new_id = new_id

    async def deal(self, message: Message, again: bool) -> float | None:
        """Implements `ports.bus.Work`."""
        if message.reply_by is not None and self._clock.now() > message.reply_by:
            late = CaxtonError(Code.DEADLINE_PASSED, f"Message {message.id} was to be answered earlier.")
            return await self._failed(message, late)
        try:
            if again and message.is_stored:
                await self._bus.begin(message)
        except CaxtonError as error:
            return self._not_begun(message, error)
        try:
            reply = await self._handler(message)
        except CaxtonError as error:
            return await self._failed(message, error)
        except Exception as crash:
            log.exception("the handler of %s crashed on message %s", self._address, message.id)
            detail = f"The handler of {self._address!r} crashed: {type(crash).__name__}: {crash}"
            return await self._failed(message, CaxtonError(Code.INTERNAL, detail))
        try:
            await self._bus.settle(message, MessageState.SETTLED, reply)
        except CaxtonError as error:
            # The reply is not one that can be stored.
            log.error("%s could not settle message %s: %s", self._address, message.id, error)
            return await self._failed(message, error)
        return None

    def _not_begun(self, message: Message, error: CaxtonError) -> float | None:
        """When to begin what could not be begun; not at all where it was erased meanwhile."""
        log.error("%s could not begin message %s: %s", self._address, message.id, error)
        self._bus.postpone(message, error)
        return self._clock.now() + PAUSE if error.code is Code.STORAGE_FAILED else None

    async def _failed(self, message: Message, error: CaxtonError) -> float | None:
        reply = self._failure(message, error) if ACTS[message.performative].answered else None
        return await self._bus.fail(message, error, reply)

    def _failure(self, request: Message, error: CaxtonError) -> Message:
        content = {"error": msgspec.to_builtins(error.report())}
        return answer_to(request, Performative.FAILURE, content, id=self._new_id(), now=self._clock.now())
