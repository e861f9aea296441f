"""One deadline for the many waits of a stream.

`asyncio.timeout` would do, entered anew for every piece; but that costs more than all else we do with a piece.
"""

import asyncio
from types import TracebackType


class Deadline:
    """Ends waiting at a moment; `with deadline:` around each wait, which then raises TimeoutError.

    Between its waits nothing happens: what is over then is told by the next. A cancellation from elsewhere stays one.
    To be closed at the end.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self.cut)
        self._over = False
        self._struck = False
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    def cut(self) -> None:
        """Let it be over now."""
        self._over = True
        if self._task and not self._struck:
            self._struck = True
            self._task.cancel()

    def renew(self, seconds: float) -> None:
        """Begin anew, with so much time from now. Only between waits; what is over stays so."""
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self.cut)

    def close(self) -> None:
        self._timer.cancel()

    def __enter__(self) -> None:
        if self._over:
            raise TimeoutError
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in one
        self._task, self._cancelling = task, task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._struck and task:
            self._struck = False
            # As in asyncio.timeout: only where nobody else has cancelled the task it is the deadline's doing.
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error
