"""What is under way, and those who watch."""

import time
from collections.abc import Sequence

from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError
from caxton.domain.message import Message
from caxton.domain.ports.bus import BusObserver
from caxton.domain.ports.clock import Clock


class Watch:
    """Tells observers what happens to messages; where there are none, nothing is made for them."""

    def __init__(self, observers: Sequence[BusObserver], clock: Clock) -> None:
        self._observers = tuple(observers)
        self.active = bool(observers)
        """Whether anybody watches."""
        self._clock = clock
        self._begun: dict[str, tuple[Message, float]] = {}

    def find(self, message_id: str) -> Message | None:
        """The message of that id, while it is under way."""
        begun = self._begun.get(message_id)
        return begun[0] if begun else None

    def start(self, message: Message) -> None:
        """Note that somebody deals with a message from now on."""
        self._begun[message.id] = message, time.perf_counter()
        if self.active:
            now = self._clock.now()
            waited = max(0.0, now - message.created_at)
            self._tell(BusEvent(kind=BusEventKind.STARTED, at=now, message=message, waited=waited))

    def end(self, message: Message) -> float:
        """Note that a message was put down again; the seconds that it was under way."""
        begun = self._begun.pop(message.id, None)
        return time.perf_counter() - begun[1] if begun else 0.0

    def observe(
        self, kind: BusEventKind, message: Message, *, reply: Message | None = None, error: CaxtonError | None = None
    ) -> None:
        """Tell whoever watches."""
        if not self.active:
            return
        begun = self._begun.get(message.id)
        event = BusEvent(
            kind=kind,
            at=self._clock.now(),
            message=message,
            reply=reply,
            error=error.report() if error else None,
            duration=time.perf_counter() - begun[1] if begun else None,
        )
        self._tell(event)

    def _tell(self, event: BusEvent) -> None:
        for observer in self._observers:
            observer.observe(event)
