"""Whether requests are still taken."""

from caxton.domain.errors import CaxtonError, Code


class Gate:
    """Open until the server stops. What passed before is finished; what comes later is refused."""

    def __init__(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def check(self) -> None:
        """CaxtonError `server_stopping` where the gate is closed."""
        if not self._open:
            raise CaxtonError(Code.SERVER_STOPPING, "The server is stopping and takes no more requests.")
