"""One agent at work: what it does with a message, and the states of its life."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from caxton.domain.agent import AgentActivity, AgentRecord, LoadedDefinition
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger, advance
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.protocol import ACTS
from caxton.runtime.acts import Acts

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds until what could not be stored is stored again."""
MAX_ATTEMPTS = 3
"""How often a message is begun again, each time because a server did not live to see its end."""


class Actor:
    """Implements `ports.bus.Mailbox`. `on_event` hears of every change of state, `on_crash` of every crash."""

    def __init__(
        self,
        record: AgentRecord,
        loaded: LoadedDefinition,
        *,
        bus: Bus,
        acts: Acts,
        clock: Clock,
        on_event: Callable[[LifecycleEvent], None],
        on_crash: Callable[["Actor"], None],
    ) -> None:
        self.record = record
        self.state = AgentState.UNLOADED
        self.restarting = False
        """Whether a crashed agent is about to be started again; it goes on taking messages meanwhile."""
        self._loaded = loaded
        self._bus = bus
        self._acts = acts
        self._clock = clock
        self._on_event = on_event
        self._on_crash = on_crash
        self._activity = AgentActivity()
        self._inbox = bus.inbox(record.name, self._deal, concurrency=loaded.definition.resources.concurrent_turns)
        self._performing: dict[str, asyncio.Task[Any] | None] = {}
        self._cancelled: set[str] = set()
        self._cancels: dict[str, int] = {}
        """Of cancels in hand, how many messages each has ended."""
        self._pull(Trigger.LOAD)

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def loaded(self) -> LoadedDefinition:
        """The definition in force; a new one holds from the next turn on."""
        return self._loaded

    @loaded.setter
    def loaded(self, loaded: LoadedDefinition) -> None:
        self._loaded = loaded
        self._inbox.concurrency = loaded.definition.resources.concurrent_turns

    @property
    def activity(self) -> AgentActivity:
        busy = self._inbox.busy
        return msgspec.structs.replace(self._activity, active_turns=busy, waiting=self._inbox.depth - busy)

    @property
    def depth(self) -> int:
        return self._inbox.depth

    @property
    def limit(self) -> int:
        return self._inbox.limit

    def holds(self, message_id: str) -> bool:
        return self._inbox.holds(message_id)

    def admit(self, message: Message) -> None:
        if self.state not in (AgentState.RUNNING, AgentState.LOADED) and not self.restarting:
            raise CaxtonError(Code.AGENT_NOT_RUNNING, f"Agent {self.name!r} is {self.state}.")
        self._inbox.admit(message)

    def put(self, message: Message, *, again: bool = False, not_before: float | None = None) -> None:
        if message.performative is Performative.CANCEL and not self.holds(message.id):
            # Behind the turn that it is to end it would come too late.
            self._cancels[message.id] = self._cancel(message)
        self._inbox.put(message, again=again, not_before=not_before)

    async def vacancy(self) -> None:
        await self._inbox.vacancy()

    def start(self) -> None:
        """Begin answering, what already waits first."""
        if self.state is AgentState.FAILED:
            self._activity = msgspec.structs.replace(self._activity, restarts=self._activity.restarts + 1)
        self.restarting = False
        self._pull(Trigger.START)
        self._inbox.open()

    async def stop(self, timeout: float, because: CaxtonError) -> None:
        """Take no more messages, finish those in hand within `timeout` seconds, and stop.

        What is not finished by then is put off: whoever waits is told `because`, and a stored message is delivered
        again when the agent starts next. An agent that has stopped already stays so.
        """
        self.restarting = False
        if self._has_stopped():
            return
        if self.state is AgentState.RUNNING:
            self._pull(Trigger.DRAIN)
        if self.state is AgentState.DRAINING:
            # Those left in the store for it come when it starts again, and their senders are told now.
            self._bus.suspend(self.name, because)
            await self._inbox.drain(timeout)
        left = await self._inbox.close()
        for message in left:
            self._bus.postpone(message, because)
        self._bus.suspend(self.name, because)
        if not self._has_stopped():  # by somebody else at the same time: the server, say, that an operator's wish met
            self._pull(Trigger.STOP)

    def unload(self) -> None:
        """The end of a stopped agent."""
        self._pull(Trigger.UNLOAD)

    def _pull(self, trigger: Trigger, reason: str = "") -> None:
        source, self.state = self.state, advance(self.state, trigger)
        event = LifecycleEvent(
            agent=self.name, at=self._clock.now(), trigger=trigger, source=source, target=self.state, reason=reason
        )
        self._on_event(event)

    def _has_stopped(self) -> bool:
        return self.state is AgentState.STOPPED

    @property
    def _answering(self) -> bool:
        return self.state in (AgentState.RUNNING, AgentState.DRAINING)

    def _cancel(self, cancel: Message) -> int:
        """End what a cancel speaks of: the message it answers, or else all that its sender has in the conversation."""
        ended = [
            message.id
            for message in self._inbox.in_hand()
            if message.sender == cancel.sender
            and message.performative is not Performative.CANCEL
            and (message.id == cancel.in_reply_to if cancel.in_reply_to else _together(message, cancel))
        ]
        for message_id in ended:
            # Once: whoever is cancelled twice is not cancelled by a cancel alone.
            if message_id not in self._cancelled and (task := self._performing.get(message_id)):
                task.cancel()
        self._cancelled.update(ended)
        return len(ended)

    async def _deal(self, message: Message, again: bool) -> float | None:
        """Answer the message and put down how it ended, whatever happens; only cancelling leaves it unsettled."""
        task = self._performing[message.id] = asyncio.current_task()
        try:
            reply = await self._reply(message, again)
        except asyncio.CancelledError:
            if message.id not in self._cancelled or task is None or task.uncancel() > 0:
                raise
            reply = self._acts.failed(message, _cancellation(message))
        except CaxtonError as error:
            self._postponed(message, error)
            # One that was erased meanwhile does not come again.
            return self._clock.now() + PAUSE if error.code is Code.STORAGE_FAILED else None
        finally:
            del self._performing[message.id]
            self._cancelled.discard(message.id)
            self._cancels.pop(message.id, None)
        return await self._end(message, reply)

    async def _end(self, message: Message, reply: Message | None) -> float | None:
        failure = None
        if reply and reply.performative is Performative.FAILURE:
            failure = msgspec.convert(reply.content["error"], ErrorReport).error()
            if failure.code is not Code.TURN_CRASHED:  # which the log has with its traceback
                log.warning(
                    "agent %s failed to answer message %s: %s [%s]", self.name, message.id, failure, failure.code
                )
        self._note(failure)
        try:
            return await self._put_down(message, failure, reply)
        except CaxtonError as error:
            # The reply is not one that can be stored.
            log.error("agent %s could not settle message %s: %s", self.name, message.id, error)
            return await self._put_down(message, error, self._acts.failed(message, error))

    async def _put_down(self, message: Message, failure: CaxtonError | None, reply: Message | None) -> float | None:
        if failure:
            return await self._bus.fail(message, failure, reply if ACTS[message.performative].answered else None)
        await self._bus.settle(message, MessageState.SETTLED, reply)
        return None

    def _postponed(self, message: Message, error: CaxtonError) -> None:
        """The store failed before the message was begun."""
        log.error("agent %s could not begin message %s: %s", self.name, message.id, error)
        self._note(error)
        self._bus.postpone(message, error)

    async def _reply(self, message: Message, again: bool) -> Message | None:
        if again and message.is_stored:
            attempts = await self._bus.begin(message)
            if attempts - len(self._bus.failures(message.id)) > MAX_ATTEMPTS:
                detail = f"Message {message.id} was begun {attempts} times by servers that did not live to finish it."
                return self._acts.failed(message, CaxtonError(Code.DELIVERY_EXHAUSTED, detail))
        if message.id in self._cancelled:
            return self._acts.failed(message, _cancellation(message))
        if message.reply_by is not None and self._clock.now() > message.reply_by:
            detail = f"Message {message.id} came to its turn after the time by which it was to be answered."
            return self._acts.failed(message, CaxtonError(Code.DEADLINE_PASSED, detail))
        try:
            return await self._acts.perform(
                self._loaded.definition,
                message,
                load=self._inbox.depth,
                cancelled=self._cancels.pop(message.id, 0),
            )
        except CaxtonError as error:
            return self._acts.failed(message, error)
        except Exception as crash:
            log.exception("agent %s crashed on message %s", self.name, message.id)
            detail = f"Agent {self.name!r} crashed on this message: {type(crash).__name__}: {crash}"
            if self._answering:
                # One that is being stopped is not to be started again.
                restarts = self.state is AgentState.RUNNING
                self._pull(Trigger.FAIL, reason=detail)
                self._inbox.pause()
                if restarts:
                    self._on_crash(self)
            return self._acts.failed(message, CaxtonError(Code.TURN_CRASHED, detail))

    def _note(self, error: CaxtonError | None) -> None:
        now = self._clock.now()
        activity = msgspec.structs.replace(self._activity, turns=self._activity.turns + 1, last_activity=now)
        if error:
            activity = msgspec.structs.replace(
                activity, failures=activity.failures + 1, last_error=error.report(), last_error_at=now
            )
        self._activity = activity


def _together(one: Message, other: Message) -> bool:
    return one.conversation_id == other.conversation_id


def _cancellation(message: Message) -> CaxtonError:
    return CaxtonError(Code.TURN_CANCELLED, f"{message.sender!r} has cancelled message {message.id}.")
