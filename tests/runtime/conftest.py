"""A supervised agent runtime on stores in memory and a provider that answers as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from caxton.bus.local import LocalBus
from caxton.domain.agent import AgentDefinition, LoadedDefinition, ResourceLimits, Source
from caxton.domain.bus_settings import BusSettings
from caxton.domain.completion import Completion, CompletionRequest, Delta
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.runtime.acts import Acts
from caxton.runtime.ledger import Ledger
from caxton.runtime.models import LanguageModels
from caxton.runtime.subscriptions import Subscriptions
from caxton.runtime.summaries import open_summaries
from caxton.runtime.supervisor import Supervisor, open_supervisor
from caxton.runtime.traces import Traces
from caxton.runtime.turn import TurnLoop
from caxton.testing.clock import FakeClock
from caxton.testing.memory import MemoryAgentStore, MemoryMessageStore, MemoryUsageStore


class Answers:
    """A provider whose answer to a request is what `answer` makes of it, awaited if need be."""

    def __init__(self) -> None:
        self.answer: Callable[[CompletionRequest], Any] = lambda request: f"re: {request.messages[-1].content}"
        self.requests: list[CompletionRequest] = []

    async def complete(self, request: CompletionRequest) -> Completion:
        self.requests.append(request)
        text = self.answer(request)
        return Completion(text=await text if asyncio.iscoroutine(text) else text, model="answers")

    async def stream(self, request: CompletionRequest) -> AsyncIterator[Delta | Completion]:
        completion = await self.complete(request)
        for word in completion.text.split(" "):
            yield Delta(word)
        yield completion


class TwoProviders:
    """Implements `ports.providers.Providers`: the default one, and another for when that fails."""

    default = "answers"

    def __init__(self, provider: Answers) -> None:
        self.made = {"answers": provider, "spare": Answers()}
        self.warmed: list[str] = []

    def names(self):
        return list(self.made)

    def get(self, name):
        if name not in self.made:
            raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider {name!r}.")
        return self.made[name]

    def warm(self, name):
        self.get(name)
        self.warmed.append(name)

    def health(self):
        return []


class NoPrices:
    def cost(self, **_):
        return None


def a_definition(name: str = "helper", **fields: Any) -> LoadedDefinition:
    resources = ResourceLimits(**fields.pop("resources", {}))
    definition = AgentDefinition(name=name, system_prompt="You help.", resources=resources, **fields)
    return LoadedDefinition(definition=definition, source=Source(path=f"{name}.toml", text=repr(definition)))


class Stage(SimpleNamespace):
    """Everything a test of the runtime touches."""

    bus_settings = BusSettings(patience=0.01)

    def request(self, text: str, to: str = "helper", conversation: str = "user:helper", **fields: Any) -> Message:
        return Message(
            id=self.new_id(),
            performative=Performative.REQUEST,
            sender="user",
            receiver=to,
            conversation_id=conversation,
            created_at=self.clock.now(),
            content={"text": text},
            **fields,
        )

    async def ask(self, text: str, **fields: Any) -> Message:
        async with asyncio.timeout(5):
            return await self.bus.ask(self.request(text, **fields))

    @asynccontextmanager
    async def opened(self, drain_timeout: float = 5.0) -> AsyncIterator[Supervisor]:
        """A supervisor on this stage; opening a second one is what a restart of the server is."""
        self.bus = LocalBus(self.messages, self.bus_settings, clock=self.clock)
        ledger = Ledger(self.usage, self.prices, self.clock)
        self.models = LanguageModels(
            providers=self.providers, settings=self.settings, ledger=ledger, clock=self.clock, backoff=0.0
        )
        shared = {"providers": self.providers, "clock": self.clock}
        async with open_summaries(store=self.messages, models=self.models, **shared) as summaries:
            turns = TurnLoop(
                bus=self.bus,
                store=self.messages,
                models=self.models,
                new_id=self.new_id,
                traces=self.traces,
                summaries=summaries,
                tools=self.tools,
                memory=self.memory,
                **shared,
            )
            subscriptions = Subscriptions(bus=self.bus, clock=self.clock, new_id=self.new_id)
            async with open_supervisor(
                bus=self.bus,
                acts=Acts(turns=turns, subscriptions=subscriptions, clock=self.clock, new_id=self.new_id),
                subscriptions=subscriptions,
                agents=self.agents,
                new_id=self.new_id,
                drain_timeout=drain_timeout,
                **shared,
            ) as supervisor:
                yield supervisor


@pytest.fixture
def stage() -> Stage:
    clock = FakeClock()
    model = Answers()
    return Stage(
        clock=clock,
        model=model,
        providers=TwoProviders(model),
        messages=MemoryMessageStore(),
        agents=MemoryAgentStore(),
        usage=MemoryUsageStore(),
        prices=NoPrices(),
        tools=None,
        memory=None,
        settings={},
        traces=Traces(),
        new_id=IdSource(clock),
        a_definition=a_definition,
    )


@pytest.fixture
async def running(stage: Stage) -> AsyncIterator[Stage]:
    """The stage with a supervisor and one running agent, `helper`."""
    async with stage.opened() as supervisor:
        stage.supervisor = supervisor
        await supervisor.apply(a_definition())
        yield stage
