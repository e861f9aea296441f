"""The traces of recent turns, in memory."""

from collections import OrderedDict
from collections.abc import Collection

from caxton.domain.turn import TurnTrace


class Traces:
    """Keeps the newest `limit` traces, by the id of the request they answered."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._traces: OrderedDict[str, TurnTrace] = OrderedDict()

    def keep(self, trace: TurnTrace) -> None:
        self._traces[trace.request] = trace
        if len(self._traces) > self._limit:
            self._traces.popitem(last=False)

    def forget(self, conversations: Collection[str]) -> None:
        """Let go of the turns of these conversations."""
        for request in [id for id, trace in self._traces.items() if trace.conversation_id in conversations]:
            del self._traces[request]

    def find(self, request: str) -> TurnTrace | None:
        return self._traces.get(request)
