"""A supervised agent runtime on stores in memory and a provider that answers as the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from caxton.bus.local import LocalBus
from caxton.domain.agent import AgentDefinition, LoadedDefinition, ResourceLimits, Source
from caxton.domain.completion import Completion, CompletionRequest, Delta
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.identifiers import IdSource
from caxton.domain.message import Message, Performative
from caxton.runtime.supervisor import open_supervisor
from caxton.runtime.traces import Traces
from caxton.runtime.turn import TurnLoop
from caxton.testing.clock import FakeClock
from caxton.testing.memory import MemoryAgentStore, MemoryMessageStore


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


class OneProvider:
    """Implements `ports.providers.Providers` with a single one."""

    default = "answers"

    def __init__(self, provider: Answers) -> None:
        self.provider = provider
        self.warmed: list[str] = []

    def names(self):
        return ["answers"]

    def get(self, name):
        if name != "answers":
            raise CaxtonError(Code.PROVIDER_UNKNOWN, f"There is no provider {name!r}.")
        return self.provider

    def warm(self, name):
        self.get(name)
        self.warmed.append(name)

    def health(self):
        return []


def a_definition(name: str = "helper", **fields: Any) -> LoadedDefinition:
    resources = ResourceLimits(**fields.pop("resources", {}))
    definition = AgentDefinition(name=name, system_prompt="You help.", resources=resources, **fields)
    return LoadedDefinition(definition=definition, source=Source(path=f"{name}.toml", text=repr(definition)))


class Stage(SimpleNamespace):
    """Everything a test of the runtime touches."""

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

    def opened(self, drain_timeout: float = 5.0):
        """A supervisor on this stage; opening a second one is what a restart of the server is."""
        self.bus = LocalBus(self.messages)
        turns = TurnLoop(
            bus=self.bus,
            store=self.messages,
            providers=self.providers,
            clock=self.clock,
            new_id=self.new_id,
            traces=self.traces,
        )
        return open_supervisor(
            bus=self.bus,
            turns=turns,
            agents=self.agents,
            providers=self.providers,
            clock=self.clock,
            new_id=self.new_id,
            drain_timeout=drain_timeout,
        )


@pytest.fixture
def stage() -> Stage:
    clock = FakeClock()
    model = Answers()
    return Stage(
        clock=clock,
        model=model,
        providers=OneProvider(model),
        messages=MemoryMessageStore(),
        agents=MemoryAgentStore(),
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
