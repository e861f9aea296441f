"""What calls of WebAssembly servers cost, kept for whoever asks and written to the log."""

import logging
from collections import deque

import msgspec

from caxton.domain.tool import ToolCall
from caxton.tools.wasm_frames import Usage

KEPT = 1_000

log = logging.getLogger("caxton.tools.usage")


class CallUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One call: who made it, what it cost (see `wasm_frames.Usage`), how it ended: `answered` or the code of an error.

    `at` is in seconds since the epoch, when it had ended.
    """

    at: float
    call: str
    tool: str
    agent: str | None
    usage: Usage
    ending: str


class UsageLog:
    """The newest calls of one server."""

    def __init__(self) -> None:
        self._calls: deque[CallUsage] = deque(maxlen=KEPT)

    def record(self, call: ToolCall, usage: Usage, ending: str, at: float) -> None:
        self._calls.append(
            CallUsage(at=at, call=call.id, tool=str(call.tool), agent=call.agent, usage=usage, ending=ending)
        )
        log.debug(
            "%s for %s: %s; fuel %d, %.4f s, %d bytes written, memory %d",
            *(call.tool, call.agent, ending, usage.fuel, usage.seconds, usage.output, usage.memory),
        )

    def newest(self, limit: int = KEPT) -> list[CallUsage]:
        """Newest first."""
        return list(self._calls)[: -limit - 1 : -1]
