"""What is under way, and those who watch."""

from collections.abc import Sequence
from time import perf_counter

from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message
from caxton.domain.ports.bus import BusCounter, BusListener, BusObserver
from caxton.domain.ports.clock import Clock

STARTED = BusEventKind.STARTED


class Watch:
    """Tells observers what happens to messages; where nobody wants to hear of it, nothing is made for them."""

    def __init__(self, observers: Sequence[BusObserver], clock: Clock) -> None:
        self._counters = tuple(one for one in observers if isinstance(one, BusCounter))
        self._listeners = tuple(one for one in observers if isinstance(one, BusListener))
        self._observers: tuple[BusObserver, ...] = tuple(
            one for one in observers if not isinstance(one, BusCounter | BusListener)
        )
        self.active = bool(observers)
        """Whether anybody watches, now or at times."""
        self._now = clock.now
        self._begun: dict[str, tuple[Message, float]] = {}

    def find(self, message_id: str) -> Message | None:
        """The message of that id, while it is under way."""
        begun = self._begun.get(message_id)
        return begun[0] if begun else None

    def start(self, message: Message) -> None:
        """Note that somebody deals with a message from now on."""
        self._begun[message.id] = message, perf_counter()
        if not self.active:
            return
        now = self._now()
        waited = max(0.0, now - message.created_at)
        for counter in self._counters:
            counter.count(STARTED, message.receiver, now, waited, None)
        if self._observers or self._awake():
            self._tell(BusEvent(kind=STARTED, at=now, message=message, waited=waited))

    def end(self, message: Message) -> float:
        """Note that a message was put down again; the seconds that it was under way."""
        begun = self._begun.pop(message.id, None)
        return perf_counter() - begun[1] if begun else 0.0

    def observe(
        self, kind: BusEventKind, message: Message, *, reply: Message | None = None, error: CaxtonError | None = None
    ) -> None:
        """Tell whoever watches."""
        if not self.active:
            return
        begun = self._begun.get(message.id)
        duration = perf_counter() - begun[1] if begun else None
        now = self._now()
        for counter in self._counters:
            counter.count(kind, message.receiver, now, None, duration)
        if self._observers or self._awake():
            report = error.report() if error else None
            self._tell(BusEvent(kind=kind, at=now, message=message, reply=reply, error=report, duration=duration))

    def _awake(self) -> bool:
        """Whether any of those who sleep at times is awake."""
        for listener in self._listeners:  # noqa: SIM110 - a generator costs three times as much, for every message
            if listener.awake:
                return True
        return False

    def _tell(self, event: BusEvent) -> None:
        for observer in self._observers:
            observer.observe(event)
        for listener in self._listeners:
            if listener.awake:
                listener.observe(event)
