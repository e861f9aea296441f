"""The services on stores in memory, with a model that echoes and a clock that a test turns."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from caxton.bus.groups import StoredGroups
from caxton.bus.local import LocalBus
from caxton.domain.completion import Completion, CompletionRequest
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth
from caxton.domain.identifiers import IdSource
from caxton.domain.settings import ServerSettings
from caxton.providers.prices import KnownPrices
from caxton.runtime.acts import Acts
from caxton.runtime.company import Company
from caxton.runtime.ledger import Ledger
from caxton.runtime.models import LanguageModels
from caxton.runtime.subscriptions import Subscriptions
from caxton.runtime.summaries import open_summaries
from caxton.runtime.supervisor import open_supervisor
from caxton.runtime.traces import Traces
from caxton.runtime.turn import TurnLoop
from caxton.service.agents import AgentService
from caxton.service.api.messages import Reply, SendMessage
from caxton.service.capabilities import CapabilityService
from caxton.service.conversations import ConversationService
from caxton.service.definitions import Definitions
from caxton.service.erasing import Eraser
from caxton.service.messages import MessageService
from caxton.service.requirements import Requirements
from caxton.service.server import ServerService
from caxton.testing.clock import FakeClock
from caxton.testing.conversations import MemoryGroupStore
from caxton.testing.memory import MemoryAgentStore, MemoryMessageStore, MemoryUsageStore
from caxton.testing.scripted import ScriptedProvider

DEADLINE = 10.0
"""Seconds that a test waits for something at most."""


class Model(ScriptedProvider):
    """Echoes. A request that begins with "hold" is answered once `let_go` is set, one with "crash" in it breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.held = asyncio.Event()
        self.let_go = asyncio.Event()

    async def complete(self, request: CompletionRequest) -> Completion:
        last = request.messages[-1].content
        if last.startswith("hold"):
            self.held.set()
            await self.let_go.wait()
        if "crash" in last:
            raise ZeroDivisionError("on purpose")
        return await super().complete(request)


class TwoProviders:
    """Implements `ports.providers.Providers`: two names for one model."""

    default = "echo"

    def __init__(self, model: Model) -> None:
        self.model = model
        self.parts: list[ComponentHealth] = []

    def names(self) -> Iterable[str]:
        return ("echo", "other")

    def get(self, name: str) -> Model:
        if name not in self.names():
            raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider {name!r}.")
        return self.model

    def warm(self, name: str) -> None:
        self.get(name)

    def health(self) -> list[ComponentHealth]:
        return self.parts


class House(SimpleNamespace):
    """Everything a test of the services touches.

    What is stored outlives a restart: leaving `opened` and entering it again. The agents directory is not made yet.
    """

    @classmethod
    def on(cls, directory: Path) -> "House":
        clock, model, message_store = FakeClock(), Model(), MemoryMessageStore()
        return cls(
            directory=directory,
            clock=clock,
            model=model,
            providers=TwoProviders(model),
            message_store=message_store,
            groups=MemoryGroupStore(message_store),
            agent_store=MemoryAgentStore(),
            usage=MemoryUsageStore(),
            new_id=IdSource(clock),
            checks=[],
        )

    def file(self, name: str = "helper", prompt: str = "You help.", *, at: str = "", more: str = "") -> Path:
        """Write an agent file; its path."""
        path = self.directory / (at or f"{name}.toml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'name = "{name}"\nsystem_prompt = "{prompt}"\n{more}', encoding="utf-8")
        return path

    async def ask(self, text: str, to: str = "helper", **fields: object) -> Reply:
        async with asyncio.timeout(DEADLINE):
            return await self.messages.send(name=to, body=SendMessage(text=text, **fields))

    def _purpose(self, agent: str) -> str:
        actor = self.supervisor.find(agent)
        return actor.loaded.definition.description if actor else ""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["House"]:
        async with AsyncExitStack() as stack:
            self.bus = LocalBus(self.message_store, clock=self.clock, groups=StoredGroups(self.groups))
            self.traces = Traces()
            models = LanguageModels(
                providers=self.providers,
                settings={},
                ledger=Ledger(self.usage, KnownPrices({}), self.clock),
                clock=self.clock,
                backoff=0.0,
            )
            turns = TurnLoop(
                bus=self.bus,
                store=self.message_store,
                providers=self.providers,
                models=models,
                clock=self.clock,
                new_id=self.new_id,
                traces=self.traces,
                summaries=await stack.enter_async_context(
                    open_summaries(store=self.message_store, providers=self.providers, models=models, clock=self.clock)
                ),
                company=Company(self.groups, self._purpose),
            )
            subscriptions = Subscriptions(bus=self.bus, clock=self.clock, new_id=self.new_id)
            self.supervisor = await stack.enter_async_context(
                open_supervisor(
                    bus=self.bus,
                    acts=Acts(turns=turns, subscriptions=subscriptions, clock=self.clock, new_id=self.new_id),
                    subscriptions=subscriptions,
                    agents=self.agent_store,
                    providers=self.providers,
                    clock=self.clock,
                    new_id=self.new_id,
                    drain_timeout=0.05,
                )
            )
            self.definitions = Definitions(
                directory=self.directory,
                supervisor=self.supervisor,
                agents=self.agent_store,
                providers=self.providers,
                clock=self.clock,
            )
            self.agents = AgentService(
                definitions=self.definitions,
                supervisor=self.supervisor,
                agents=self.agent_store,
                messages=self.message_store,
                providers=self.providers,
            )
            self.messages = MessageService(
                bus=self.bus,
                store=self.message_store,
                supervisor=self.supervisor,
                traces=self.traces,
                clock=self.clock,
                new_id=self.new_id,
            )
            self.capabilities = CapabilityService(offers=self.bus.directory, supervisor=self.supervisor)
            self.requirements = Requirements(self.supervisor)
            self.conversations = ConversationService(
                store=self.message_store,
                groups=self.groups,
                bus=self.bus,
                clock=self.clock,
                new_id=self.new_id,
                expect_agent=self.supervisor.get,
                eraser=Eraser(self.message_store, None, self.groups),
            )
            self.server = ServerService(
                settings=ServerSettings(data_dir=self.directory.parent, agents_dir=self.directory),
                version="1.2.3",
                supervisor=self.supervisor,
                providers=self.providers,
                clock=self.clock,
                checks=self.checks,
            )
            await self.definitions.prepare()
            await self.definitions.load_all()
            yield self


async def until(happened: Callable[[], object], what: str) -> None:
    """Wait for what other tasks and threads make true."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not happened():
                await asyncio.sleep(0)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {DEADLINE:g} s") from None
