"""One agent at work.

An actor has a lane for each conversation with messages waiting, and workers that take the lanes in turn: within a
conversation messages are answered one after the other in the order they came, and conversations do not wait for each
other. A worker lives while there is work, so that an idle agent has no task at all.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from caxton.domain.agent import AgentActivity, AgentRecord, LoadedDefinition
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger, advance
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.runtime.turn import TurnLoop

log = logging.getLogger(__name__)

MAILBOX = 1000
"""Messages that may be in one agent's hands before it takes no more."""
MAX_ATTEMPTS = 3
"""How often a message is delivered again, each time because a server did not live to see its end."""


class Actor:
    """Implements `ports.bus.Mailbox`. `on_event` hears of every change of state, `on_crash` of every crash."""

    def __init__(
        self,
        record: AgentRecord,
        loaded: LoadedDefinition,
        *,
        bus: Bus,
        turns: TurnLoop,
        clock: Clock,
        on_event: Callable[[LifecycleEvent], None],
        on_crash: Callable[["Actor"], None],
    ) -> None:
        self.record = record
        self.loaded = loaded
        self.state = AgentState.UNLOADED
        self.restarting = False
        """Whether a crashed agent is about to be started again; it goes on taking messages meanwhile."""
        self._bus = bus
        self._turns = turns
        self._clock = clock
        self._on_event = on_event
        self._on_crash = on_crash
        self._activity = AgentActivity()
        self._lanes: dict[str, deque[tuple[Message, bool]]] = {}
        self._ready: deque[str] = deque()
        self._in_hand: set[str] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._pull(Trigger.LOAD)

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def activity(self) -> AgentActivity:
        waiting = len(self._in_hand) - self._busy
        return msgspec.structs.replace(self._activity, active_turns=self._busy, waiting=waiting)

    def admit(self) -> None:
        if self.state not in (AgentState.RUNNING, AgentState.LOADED) and not self.restarting:
            raise CaxtonError(Code.AGENT_NOT_RUNNING, f"Agent {self.name!r} is {self.state}.")
        if len(self._in_hand) >= MAILBOX:
            raise CaxtonError(Code.MAILBOX_FULL, f"Agent {self.name!r} has {len(self._in_hand)} messages waiting.")

    def put(self, message: Message, *, again: bool = False) -> None:
        if message.id in self._in_hand:
            return
        self._in_hand.add(message.id)
        lane = self._lanes.get(message.conversation_id)
        if lane is None:
            # A lane exists from its first message to the end of its last one's turn, and is ready between turns.
            lane = self._lanes[message.conversation_id] = deque()
            self._ready.append(message.conversation_id)
        lane.append((message, again))
        self._dispatch()

    def start(self) -> None:
        """Begin answering, what already waits first."""
        if self.state is AgentState.FAILED:
            self._activity = msgspec.structs.replace(self._activity, restarts=self._activity.restarts + 1)
        self.restarting = False
        self._pull(Trigger.START)
        self._dispatch()

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
            deadline = asyncio.get_running_loop().time() + timeout
            while self._workers and (left := deadline - asyncio.get_running_loop().time()) > 0:
                await asyncio.wait(self._workers, timeout=left)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._has_stopped():
            return  # somebody else stopped it at the same time: the server, say, that an operator's wish met
        for lane in self._lanes.values():
            for message, _ in lane:
                self._bus.postpone(message, because)
        self._lanes.clear()
        self._ready.clear()
        self._in_hand.clear()
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

    def _dispatch(self) -> None:
        limit = self.loaded.definition.resources.concurrent_turns
        for _ in range(min(len(self._ready), limit - len(self._workers)) if self._answering else 0):
            worker = asyncio.create_task(self._run(), name=f"agent {self.name}")
            self._workers.add(worker)
            # For one that is cancelled before it runs; another is gone by then.
            worker.add_done_callback(self._workers.discard)

    async def _run(self) -> None:
        """A worker's life. It is no worker any more as soon as it finds no work: the next message needs another one."""
        try:
            await self._work()
        finally:
            self._workers -= {asyncio.current_task()}

    async def _work(self) -> None:
        while self._ready and self._answering:
            conversation = self._ready.popleft()
            lane = self._lanes[conversation]
            message, again = lane.popleft()
            self._busy += 1
            try:
                await self._answer(message, again)
                self._in_hand.discard(message.id)
            except asyncio.CancelledError:
                lane.appendleft((message, again))
                raise
            finally:
                self._busy -= 1
                if lane:
                    self._ready.append(conversation)
                else:
                    del self._lanes[conversation]

    async def _answer(self, message: Message, again: bool) -> None:
        """Run the turn and settle the message, whatever happens; only cancelling leaves it unsettled."""
        try:
            reply = await self._reply(message, again)
            answered = reply.performative is Performative.INFORM
            await self._bus.settle(message, MessageState.SETTLED if answered else MessageState.FAILED, reply)
        except CaxtonError as error:
            # The store failed. The message stays accepted there, if it is there, and comes again at the next start.
            log.error("agent %s could not settle message %s: %s", self.name, message.id, error)
            self._note(error)
            self._bus.postpone(message, error)
            return
        failure = None if answered else msgspec.convert(reply.content["error"], ErrorReport).error()
        if failure and failure.code is not Code.TURN_CRASHED:  # which the log has with its traceback
            log.warning("agent %s failed to answer message %s: %s [%s]", self.name, message.id, failure, failure.code)
        self._note(failure)

    async def _reply(self, message: Message, again: bool) -> Message:
        if again and (attempts := await self._bus.begin(message)) > MAX_ATTEMPTS:
            detail = f"Message {message.id} was begun {attempts} times by servers that did not live to finish it."
            return self._turns.failed(message, CaxtonError(Code.DELIVERY_EXHAUSTED, detail))
        try:
            return await self._turns.run(self.loaded.definition, message)
        except Exception as crash:
            log.exception("agent %s crashed on message %s", self.name, message.id)
            detail = f"Agent {self.name!r} crashed on this message: {type(crash).__name__}: {crash}"
            if self._answering:
                # One that is being stopped is not to be started again.
                restarts = self.state is AgentState.RUNNING
                self._pull(Trigger.FAIL, reason=detail)
                if restarts:
                    self._on_crash(self)
            return self._turns.failed(message, CaxtonError(Code.TURN_CRASHED, detail))

    def _note(self, error: CaxtonError | None) -> None:
        now = self._clock.now()
        activity = msgspec.structs.replace(self._activity, turns=self._activity.turns + 1, last_activity=now)
        if error:
            activity = msgspec.structs.replace(
                activity, failures=activity.failures + 1, last_error=error.report(), last_error_at=now
            )
        self._activity = activity
