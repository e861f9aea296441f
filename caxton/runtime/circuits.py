"""Circuit breakers: an endpoint that keeps failing is left alone for a while (Nygard, *Release It!*)."""

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil

from pybreaker import STATE_CLOSED, STATE_OPEN, CircuitBreaker, CircuitBreakerError, CircuitMemoryStorage

from caxton.domain.errors import Code, ProviderError

TRIPPING = {Code.PROVIDER_UNAVAILABLE, Code.PROVIDER_TIMEOUT, Code.PROVIDER_MALFORMED}
"""What speaks against an endpoint. Every other error is an answer from one that works."""


class CircuitState(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class Circuit:
    """The breaker of one provider. Outcomes are told; a request that was cancelled has none."""

    def __init__(self, provider: str, *, failures: int, pause: float) -> None:
        self._provider = provider
        self._last = ""
        self._storage = CircuitMemoryStorage(STATE_CLOSED)
        self._breaker = CircuitBreaker(
            fail_max=failures,
            reset_timeout=pause,
            exclude=[lambda error: getattr(error, "code", None) not in TRIPPING],
            state_storage=self._storage,
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> CircuitState:
        if self._storage.state == STATE_OPEN and not self.remaining:
            return CircuitState.HALF_OPEN
        return CircuitState(self._storage.state)

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._storage.counter

    @property
    def remaining(self) -> float:
        """Seconds for which an open circuit stays so."""
        opened_at = self._storage.opened_at
        if self._storage.state != STATE_OPEN or opened_at is None:
            return 0.0
        return max(0.0, self._breaker.reset_timeout - (datetime.now(UTC) - opened_at).total_seconds())

    def check(self) -> None:
        """ProviderError `provider_paused` while the circuit is open."""
        if remaining := self.remaining:
            raise ProviderError(
                Code.PROVIDER_PAUSED,
                f"Provider {self._provider!r} failed {self.failures} times in a row and is left alone for a while.",
                why=f"It is tried again in {ceil(remaining)} s. The last failure: {self._last}",
                hint=f"See what is wrong: `caxton provider check {self._provider}`.",
                retry_after=float(ceil(remaining)),
            )

    def tell(self, error: Exception | None) -> None:
        """How a request ended, all its tries together."""
        self._last = str(error) if error else ""

        def outcome() -> None:
            if error is not None:
                raise error

        # Raised where a request that began before the circuit opened ends after.
        with suppress(CircuitBreakerError, Exception if error is None else type(error)):
            self._breaker.call(outcome)

    def reset(self) -> None:
        """Close the circuit, whatever happened."""
        self._breaker.close()
