"""Agents on their way out of force. Their turns may take long to end; no other agent waits for that."""

import asyncio
import logging

from caxton.domain.agent import Source
from caxton.domain.ports.agents import AgentStore
from caxton.runtime.supervisor import Supervisor
from caxton.service.register import Register

log = logging.getLogger(__name__)

NOWHERE = Source(path="", text="")
"""The source of an agent that no file defines any more. Its record stays, for the id's sake."""


class Departures:
    """An agent stays in the register until it has gone, for so long it is listed."""

    def __init__(self, *, supervisor: Supervisor, agents: AgentStore, register: Register) -> None:
        self._supervisor = supervisor
        self._agents = agents
        self._register = register
        self._leaving: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, *, forget: bool = False) -> asyncio.Task[None]:
        """Have an agent leave, and its id forgotten if so wished; the departure under way where there is one."""
        if leaving := self._leaving.get(name):
            return leaving
        leaving = self._leaving[name] = asyncio.create_task(self._leave(name, forget), name=f"goodbye of {name}")
        leaving.add_done_callback(tell)
        return leaving

    async def over(self, name: str) -> None:
        """Wait until an agent that is leaving has gone; at once where none is."""
        if leaving := self._leaving.get(name):
            await asyncio.wait([leaving])

    async def cancel(self) -> None:
        """Wait for nobody any more. The agents are stopped with all others when the server ends."""
        leaving = [*self._leaving.values()]
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    async def _leave(self, name: str, forget: bool) -> None:
        try:
            await self._supervisor.remove(name, forget=forget)
            log.info("agent %s is unloaded", name)
            if not forget:
                await self._agents.accept(name, NOWHERE)
        finally:
            self._register.forget_agent(name)
            del self._leaving[name]


def tell(task: asyncio.Task[None]) -> None:
    """Log how a task failed that nobody may be waiting for."""
    if not task.cancelled() and (error := task.exception()):
        log.error("%s: %s", task.get_name(), error)
