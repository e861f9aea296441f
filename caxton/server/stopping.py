"""How a server ends: whoever waits gets an answer, and nothing can keep it from ending."""

import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

import uvicorn

from caxton.domain.errors import EXIT_FAILED
from caxton.server.gate import Gate

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)
LAST_WORDS = 3
"""Seconds that answers may take to be sent once all turns have ended."""


class Stop:
    """The wish that the server ends: `asked` from the first signal on. The second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Heed the signals of this process for the block, which runs in the main thread."""
        before = {number: signal.signal(number, self._heed) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            # Not even the interpreter's own end is waited for. Accepted messages are in the store.
            os._exit(EXIT_FAILED)
        self.asked = True


class StoppableServer(uvicorn.Server):
    """Serves until `stop` is asked for; then whoever waits for a turn is answered before the server ends.

    It takes no more connections, shuts the gate, and has `drain` end the turns under way. Then their answers are sent,
    and who does not take his is cut off. uvicorn by itself would wait for the answers first, and so for turns that
    nobody has told to end.
    """

    def __init__(self, config: uvicorn.Config, *, stop: Stop, gate: Gate, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._stop = stop
        self._gate = gate
        self._drain = drain

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.asked

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gate.close()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            await self._drain()
        finally:
            await super().shutdown(sockets)
