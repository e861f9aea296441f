"""Refused calls, in the log and in memory."""

import logging
from collections import deque

import msgspec

from caxton.domain.tool import ToolViolation

KEPT = 1_000
LONGEST = 500
"""Characters of a call's arguments that go into the log."""

log = logging.getLogger("caxton.security")


class ViolationLog:
    """Implements `ports.tools.SecurityLog`."""

    def __init__(self) -> None:
        self._violations: deque[ToolViolation] = deque(maxlen=KEPT)

    def record(self, violation: ToolViolation) -> None:
        self._violations.append(violation)
        call, decision = violation.call, violation.decision
        arguments = msgspec.json.encode(call.arguments).decode()
        log.warning(
            "tool call refused: agent=%r tool=%r rule=%r in=%r arguments=%.*s request=%s",
            call.agent,
            str(call.tool),
            decision.rule,
            decision.where,
            LONGEST,
            arguments,
            call.request,
        )

    def violations(self, limit: int) -> list[ToolViolation]:
        return list(reversed(self._violations))[:limit]
