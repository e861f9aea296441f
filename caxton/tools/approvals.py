"""Calls that wait for a person, in memory."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from caxton.domain.ports.clock import Clock
from caxton.domain.tool import Approval, PendingApproval, ToolCall, ToolDecision


class MemoryApprovals:
    """Implements `ports.tools.Approvals` for as long as the process lives: calls that wait do not outlive it either."""

    def __init__(self, clock: Clock, new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._waiting: dict[str, tuple[PendingApproval, asyncio.Future[Approval]]] = {}

    async def ask(self, call: ToolCall, decision: ToolDecision, timeout: float) -> Approval:
        now = self._clock.now()
        pending = PendingApproval(
            id=self._new_id(), call=call, decision=decision, asked_at=now, expires_at=now + timeout
        )
        answer: asyncio.Future[Approval] = asyncio.get_running_loop().create_future()
        self._waiting[pending.id] = pending, answer
        expiry = asyncio.create_task(self._clock.sleep(timeout), name=f"approval {pending.id} expires")
        try:
            ends: list[asyncio.Future[Any]] = [answer, expiry]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else Approval(id=pending.id, granted=False, expired=True)
        finally:
            del self._waiting[pending.id]
            expiry.cancel()
            with suppress(asyncio.CancelledError):
                await expiry

    def pending(self) -> list[PendingApproval]:
        return [pending for pending, _ in self._waiting.values()]

    def answer(self, approval: Approval) -> bool:
        _, answer = self._waiting.get(approval.id, (None, None))
        if answer is None or answer.done():
            return False
        answer.set_result(approval)
        return True
