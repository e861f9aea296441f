"""The supervisor: keeps every agent's actor, starts it again when it crashes, and remembers what became of it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from caxton.domain.agent import AgentRecord, DesiredState, LoadedDefinition
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.lifecycle import AgentState, LifecycleEvent
from caxton.domain.ports.agents import AgentStore
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.providers import Providers
from caxton.domain.ports.tools import Tools
from caxton.domain.suggestion import did_you_mean
from caxton.runtime.actor import Actor
from caxton.runtime.acts import Acts
from caxton.runtime.subscriptions import Subscriptions

log = logging.getLogger(__name__)

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
"""Seconds before a crashed agent starts again: doubled with each crash, jittered, up to the longest."""
FORGIVEN_AFTER = 60.0
"""Seconds without a crash after which the next one counts as the first."""
DRAIN = 30.0
"""Seconds that an agent stopped by hand has to finish what it is at."""


@asynccontextmanager
async def open_supervisor(
    *,
    bus: Bus,
    acts: Acts,
    subscriptions: Subscriptions,
    agents: AgentStore,
    providers: Providers,
    clock: Clock,
    new_id: IdSource,
    drain_timeout: float,
    tools: Tools | None = None,
    watch: Callable[[LifecycleEvent], None] | None = None,
) -> AsyncIterator["Supervisor"]:
    """A supervisor whose agents are stopped at the end, all together within `drain_timeout` seconds.

    `watch` hears at once of every change of an agent's state.
    """
    supervisor = Supervisor(
        bus=bus,
        acts=acts,
        subscriptions=subscriptions,
        agents=agents,
        providers=providers,
        clock=clock,
        new_id=new_id,
        tools=tools,
        watch=watch,
    )
    journal = asyncio.create_task(supervisor.keep_journal(), name="lifecycle journal")
    try:
        yield supervisor
    finally:
        await supervisor.close(drain_timeout)
        await supervisor.flush()
        journal.cancel()


class Supervisor:
    """Every agent by name. Commands on one agent follow each other; agents do not wait for one another."""

    def __init__(
        self,
        *,
        bus: Bus,
        acts: Acts,
        subscriptions: Subscriptions,
        agents: AgentStore,
        providers: Providers,
        clock: Clock,
        new_id: IdSource,
        tools: Tools | None,
        watch: Callable[[LifecycleEvent], None] | None,
    ) -> None:
        self._bus = bus
        self._acts = acts
        self._subscriptions = subscriptions
        self._agents = agents
        self._providers = providers
        self._clock = clock
        self._new_id = new_id
        self._tools = tools
        self._watch = watch
        self._actors: dict[str, Actor] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._events: asyncio.Queue[LifecycleEvent] = asyncio.Queue()
        self._crashes: dict[str, tuple[int, float]] = {}
        self._restarts: dict[str, asyncio.Task[None]] = {}

    def all(self) -> Iterable[Actor]:
        return self._actors.values()

    def find(self, name: str) -> Actor | None:
        return self._actors.get(name)

    def get(self, name: str) -> Actor:
        """The agent of that name; CaxtonError `agent_not_found` naming the nearest."""
        if actor := self._actors.get(name):
            return actor
        raise CaxtonError(Code.AGENT_NOT_FOUND, f"There is no agent {name!r}.", hint=did_you_mean(name, self._actors))

    async def apply(self, loaded: LoadedDefinition) -> Actor:
        """Put a definition in force: a new agent is started, a known one takes it from its next turn on.

        The id and the wish to run or not are those kept under the agent's name, whatever became of it before.
        """
        name = loaded.definition.name
        async with self._lock(name):
            if self._tools:
                self._tools.grant(name, loaded.definition.tools)
            actor = self._actors.get(name)
            if actor:
                actor.loaded = loaded
                self._bus.register(name, actor, loaded.definition.offers)
                await self._agents.accept(name, loaded.source)
                self._warm(actor)
                return actor
            record = self._agents.find(name)
            if record is None:
                record = AgentRecord(
                    id=self._new_id(),
                    name=name,
                    desired=DesiredState.RUNNING,
                    source=loaded.source,
                    created_at=self._clock.now(),
                )
                await self._agents.add(record)
            elif record.source != loaded.source:
                await self._agents.accept(name, loaded.source)
            actor = Actor(
                record,
                loaded,
                bus=self._bus,
                acts=self._acts,
                clock=self._clock,
                on_event=self._on_event,
                on_crash=self._on_crash,
            )
            self._actors[name] = actor
            self._bus.register(name, actor, loaded.definition.offers)
            if record.desired is DesiredState.RUNNING:
                await self._start(actor)
            else:
                await actor.stop(0, self._stopped(name))
            return actor

    async def start(self, name: str) -> Actor:
        """Start a stopped or failed agent and remember that it is to run; a running one stays as it is."""
        async with self._held(name) as actor:
            await self._agents.desire(name, DesiredState.RUNNING)
            self._forgive(name)
            if actor.state in (AgentState.LOADED, AgentState.STOPPED, AgentState.FAILED):
                await self._start(actor)
            return actor

    async def stop(self, name: str) -> Actor:
        """Stop an agent and remember that it is to stay stopped."""
        async with self._held(name) as actor:
            await self._agents.desire(name, DesiredState.STOPPED)
            self._forgive(name)
            await actor.stop(DRAIN, self._stopped(name))
            return actor

    async def restart(self, name: str) -> Actor:
        async with self._held(name) as actor:
            self._forgive(name)
            await actor.stop(DRAIN, self._stopped(name))
            await self._agents.desire(name, DesiredState.RUNNING)
            await self._start(actor)
            return actor

    async def remove(self, name: str, *, forget: bool = False) -> None:
        """Stop and unload an agent. Its id stays with the name for its return, unless it is to be forgotten."""
        async with self._held(name) as actor:
            self._forgive(name)
            await actor.stop(DRAIN, self._stopped(name))
            actor.unload()
            self._bus.unregister(name)
            del self._actors[name]
            if self._tools:
                await self._tools.revoke(name)
            if forget:
                await self.flush()
                await self._agents.remove(name)

    async def close(self, timeout: float) -> None:
        """Stop all agents at once; what they are wished to be stays as it is."""
        for task in self._restarts.values():
            task.cancel()
        await asyncio.gather(*self._restarts.values(), return_exceptions=True)
        stopping = CaxtonError(Code.SERVER_STOPPING, "The server stops before this message could be answered.")
        await asyncio.gather(*(actor.stop(timeout, stopping) for actor in self._actors.values()))

    async def keep_journal(self) -> None:
        """Write lifecycle events to the store as they come, until cancelled."""
        while True:
            event = await self._events.get()
            log.info("agent %s: %s → %s %s", event.agent, event.source, event.target, event.reason)
            try:
                await self._agents.record(event)
                await self._subscriptions.tell(event)
            except Exception:
                # The journal outlives what it could not write; the line above has the event.
                log.exception("the event could not be stored")
            finally:
                self._events.task_done()

    async def flush(self) -> None:
        """Wait until every event so far is written."""
        await self._events.join()

    async def _start(self, actor: Actor) -> None:
        self._warm(actor)
        actor.start()
        if count := await self._bus.redeliver(actor.name):
            log.info("agent %s: %d stored messages delivered again", actor.name, count)

    def _warm(self, actor: Actor) -> None:
        """Let the agent's provider get ready. One that is missing shows in the agent's turns, not here."""
        try:
            self._providers.warm(actor.loaded.definition.providers(self._providers.default)[0])
        except CaxtonError as error:
            log.warning("agent %s: %s", actor.name, error)

    def _on_event(self, event: LifecycleEvent) -> None:
        self._events.put_nowait(event)
        if self._watch:
            self._watch(event)

    def _on_crash(self, actor: Actor) -> None:
        count, last = self._crashes.get(actor.name, (0, 0.0))
        now = self._clock.now()
        count = count + 1 if now - last < FORGIVEN_AFTER else 1
        self._crashes[actor.name] = count, now
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(count - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311
        actor.restarting = True
        log.warning("agent %s starts again in %.1f s (crash %d)", actor.name, delay, count)
        self._restarts[actor.name] = asyncio.create_task(self._restart_later(actor, delay))

    async def _restart_later(self, actor: Actor, delay: float) -> None:
        await self._clock.sleep(delay)
        async with self._lock(actor.name):
            if actor.restarting:
                actor.start()
        self._restarts.pop(actor.name, None)

    def _forgive(self, name: str) -> None:
        """An operator's command begins anew: no crash counts and no restart is pending."""
        self._crashes.pop(name, None)
        if restart := self._restarts.pop(name, None):
            restart.cancel()

    @asynccontextmanager
    async def _held(self, name: str) -> AsyncIterator[Actor]:
        """The agent of that name, which nobody else commands for the block; `agent_not_found` where it has gone."""
        self.get(name)
        async with self._lock(name):
            yield self.get(name)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _stopped(self, name: str) -> CaxtonError:
        return CaxtonError(
            Code.AGENT_NOT_RUNNING,
            f"Agent {name!r} was stopped before it answered.",
            hint="The message is kept and answered when the agent starts again.",
        )
