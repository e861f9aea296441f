"""The one place where the parts are put together."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from caxton.bus.archive import Archive
from caxton.bus.contract_net import open_contracts
from caxton.bus.feed import open_feed
from caxton.bus.groups import open_groups
from caxton.bus.keeping import open_keeping
from caxton.bus.local import open_bus
from caxton.bus.metrics import BusMetrics
from caxton.bus.stores.sqlite import RESCUED, SqliteMessageStore
from caxton.bus.stores.sqlite_conversations import SqliteGroupStore
from caxton.config.location import url_of
from caxton.config.settings import load_settings
from caxton.config.source import read_source
from caxton.domain.agent import AgentDefinition, MemoryScope
from caxton.domain.clock import SystemClock
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, ConfigurationError
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.lifecycle import AgentState
from caxton.domain.memory import MemorySpace
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database, Session
from caxton.domain.ports.messenger import Contact
from caxton.domain.settings import ServerSettings
from caxton.domain.tool import ToolCall
from caxton.domain.tool_settings import McpServerSettings, ToolSettings
from caxton.memory.backends import open_memory
from caxton.memory.embedders import embedder
from caxton.memory.rescued import DERIVED, agree
from caxton.providers.kinds import provider_kinds
from caxton.providers.prices import KnownPrices
from caxton.providers.registry import open_providers
from caxton.runtime.acts import Acts
from caxton.runtime.company import Company
from caxton.runtime.ledger import open_ledger
from caxton.runtime.messenger import BusMessenger
from caxton.runtime.models import LanguageModels
from caxton.runtime.recall import space_of
from caxton.runtime.sampling import ModelSampler
from caxton.runtime.subscriptions import Subscriptions
from caxton.runtime.summaries import open_summaries
from caxton.runtime.supervisor import Supervisor, open_supervisor
from caxton.runtime.traces import Traces
from caxton.runtime.turn import TurnLoop
from caxton.service.agents import AgentService
from caxton.service.bus import BusService
from caxton.service.capabilities import CapabilityService
from caxton.service.contracts import ContractService
from caxton.service.conversations import ConversationService
from caxton.service.dead_letters import DeadLetterService
from caxton.service.definitions import Definitions
from caxton.service.erasing import Eraser
from caxton.service.events import EventService
from caxton.service.memory import MemoryService
from caxton.service.messages import MessageService
from caxton.service.people import PeopleService
from caxton.service.providers import ProviderService
from caxton.service.requirements import Requirements
from caxton.service.server import ServerService
from caxton.service.templates import TemplateService
from caxton.service.tools import ToolService
from caxton.service.traces import TraceService
from caxton.storage.agents import SqliteAgentStore
from caxton.storage.contracts import SqliteContractStore
from caxton.storage.database import open_database
from caxton.storage.fingerprints import open_fingerprints
from caxton.storage.rescue import rescue
from caxton.storage.usage import SqliteUsageStore
from caxton.telemetry.logs import configure_logging
from caxton.tools.catalogue import open_tools
from caxton.tools.deployments import Deployments
from caxton.tools.kinds import host_kind
from caxton.tools.mcp_json import read_mcp_json
from caxton.tools.memory import NAME as MEMORY
from caxton.tools.memory import memory_kind, own_memory
from caxton.tools.messaging import NAME as MESSAGING
from caxton.tools.messaging import messaging_kind

WASM_CACHE = Path("cache", "wasm")
"""Where compiled WebAssembly is kept, in the data directory."""


class Caxton(msgspec.Struct, frozen=True, kw_only=True):
    """A running Caxton. `services` has for each noun of the operation table the object that carries it out."""

    settings: ServerSettings
    services: Mapping[str, object]


__all__ = [
    "Caxton",
    "configure_logging",
    "load_server_settings",
    "open_caxton",
    "provider_kinds",
    "rescue_database",
    "server_url",
]


def load_server_settings(
    *, flags: Mapping[str, object], environ: Mapping[str, str], cwd: Path | None = None
) -> ServerSettings:
    """The settings that hold here, by flag, environment, file and default; ConfigurationError with all problems."""
    return load_settings(flags=flags, environ=environ, cwd=cwd or Path.cwd(), kinds=provider_kinds())


def server_url(settings: ServerSettings) -> str:
    """Where this machine reaches a server with these settings."""
    return url_of(settings.host, settings.port)


def rescue_database(path: Path) -> dict[str, int]:
    """Put what can be read of a damaged database in its place; how many rows of each table that is."""

    def derive(session: Session) -> None:
        agree(session)
        for statement in RESCUED:
            session.execute(statement)

    return rescue(path, derived=DERIVED, derive=derive)


@asynccontextmanager
async def open_caxton(settings: ServerSettings, *, clock: Clock | None = None) -> AsyncIterator[Caxton]:
    """Caxton with all its agents, until the end of the block; then they finish their turns and everything is closed.

    CaxtonError where the data directory or the database cannot be used.
    """
    clock = clock or SystemClock()
    new_id = IdSource(clock)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        store = SqliteMessageStore(database)
        agents = SqliteAgentStore(database)
        metrics = BusMetrics(clock)
        feed = await stack.enter_async_context(open_feed(clock))
        groups = SqliteGroupStore(database)
        keeper = await stack.enter_async_context(open_groups(groups, clock=clock, idle=settings.bus.conversation_idle))
        bus = await stack.enter_async_context(
            open_bus(store, settings.bus, clock=clock, observers=(metrics, feed), groups=keeper)
        )
        metrics.watch(bus.directory)
        providers = await stack.enter_async_context(open_providers(settings))
        traces = Traces()
        usage = SqliteUsageStore(database)
        ledger = await stack.enter_async_context(
            open_ledger(store=usage, prices=KnownPrices(settings.providers), clock=clock)
        )
        models = LanguageModels(providers=providers, settings=settings.providers, ledger=ledger, clock=clock)
        summaries = await stack.enter_async_context(
            open_summaries(store=store, providers=providers, models=models, clock=clock)
        )
        embedding = embedder(settings.embedder, os.environ)
        stack.push_async_callback(embedding.aclose)
        memory = await stack.enter_async_context(
            open_memory(settings.memory, database, embedding, os.environ, clock=clock, new_id=new_id)
        )
        deployments = Deployments(
            settings.data_dir / "wasm", cache=settings.data_dir / WASM_CACHE, public_key=settings.tools.wasm_public_key
        )
        fingerprints = await stack.enter_async_context(open_fingerprints(database))

        def definition_of(agent: str) -> AgentDefinition | None:
            actor = supervisor.find(agent)
            return actor.loaded.definition if actor else None

        def contacts() -> list[Contact]:
            running = [actor.loaded.definition for actor in supervisor.all() if actor.state is AgentState.RUNNING]
            return [Contact(name=one.name, description=one.description, capabilities=one.offers) for one in running]

        def time_for_a_turn(agent: str) -> float:
            return (definition_of(agent) or AgentDefinition(name=agent, system_prompt="")).resources.max_execution_time

        messenger = BusMessenger(
            bus=bus,
            contacts=contacts,
            able=bus.directory.providers,
            patience=time_for_a_turn,
            clock=clock,
            new_id=new_id,
        )

        def remembers_in(call: ToolCall) -> MemorySpace | None:
            definition = definition_of(call.agent or "")
            if definition is None or definition.memory.scope is not MemoryScope.SESSION:
                return space_of(definition, "") if definition else own_memory(call)
            served = store.find(call.request or "")
            return space_of(definition, served.message.conversation_id) if served else None

        own = {MEMORY: memory_kind(memory, remembers_in), MESSAGING: messaging_kind(messenger)}
        tools = await stack.enter_async_context(
            open_tools(
                _tool_settings(settings, deployments),
                clock=clock,
                new_id=new_id,
                environ=os.environ,
                kind_of=lambda kind: own.get(kind) or host_kind(kind),
                sampler=ModelSampler(models=models, providers=providers, definition_of=definition_of),
                fingerprints=fingerprints,
            )
        )
        turns = TurnLoop(
            bus=bus,
            store=store,
            providers=providers,
            models=models,
            clock=clock,
            new_id=new_id,
            traces=traces,
            summaries=summaries,
            memory=memory,
            tools=tools,
            company=Company(groups, lambda agent: one.description if (one := definition_of(agent)) else ""),
        )
        subscriptions = Subscriptions(bus=bus, clock=clock, new_id=new_id)
        supervisor = await stack.enter_async_context(
            open_supervisor(
                bus=bus,
                acts=Acts(turns=turns, subscriptions=subscriptions, clock=clock, new_id=new_id),
                subscriptions=subscriptions,
                agents=agents,
                providers=providers,
                clock=clock,
                new_id=new_id,
                drain_timeout=settings.drain_timeout,
                tools=tools,
                watch=feed.agent,
            )
        )
        agreed = SqliteContractStore(database)
        # Closed before the agents are stopped: what is open then is left as it is, and carried on by the next server.
        contracts = await stack.enter_async_context(
            open_contracts(
                bus=bus,
                store=agreed,
                clock=clock,
                new_id=new_id,
                resume_within=settings.bus.idempotency_window,
                retention=settings.bus.retention,
            )
        )
        definitions = Definitions(
            directory=settings.agents_dir,
            supervisor=supervisor,
            agents=agents,
            providers=providers,
            clock=clock,
        )
        await definitions.prepare()
        # Watched before it is read, so that no change falls between the two.
        await stack.enter_async_context(_watching(definitions))
        await definitions.load_all()
        await contracts.resume()
        archive = Archive(settings.data_dir / "archive")

        def awake() -> set[str]:
            stopped = {actor.name for actor in supervisor.all() if actor.state is not AgentState.RUNNING}
            return {*bus.directory.addresses()} - stopped

        await stack.enter_async_context(
            open_keeping(
                store=store,
                settings=settings.bus,
                archive=archive,
                clock=clock,
                running=awake,
                observers=(metrics, feed),
            )
        )
        yield Caxton(
            settings=settings,
            services={
                "agents": AgentService(
                    definitions=definitions,
                    supervisor=supervisor,
                    agents=agents,
                    messages=store,
                    providers=providers,
                    memory=memory,
                ),
                "bus": BusService(metrics=metrics, store=store),
                "events": EventService(feed=feed),
                "traces": TraceService(store=store, traces=traces),
                "capabilities": CapabilityService(offers=bus.directory, supervisor=supervisor),
                "memory": MemoryService(memory=memory, clock=clock),
                "messages": MessageService(
                    bus=bus,
                    store=store,
                    supervisor=supervisor,
                    traces=traces,
                    clock=clock,
                    new_id=new_id,
                    largest=settings.max_body_bytes,
                ),
                "contracts": ContractService(
                    contracts=contracts,
                    store=agreed,
                    supervisor=supervisor,
                    groups=keeper,
                    clock=clock,
                    new_id=new_id,
                ),
                "conversations": ConversationService(
                    store=store,
                    groups=groups,
                    bus=bus,
                    clock=clock,
                    new_id=new_id,
                    expect_agent=supervisor.get,
                    eraser=Eraser(store, memory, groups),
                ),
                "dlq": DeadLetterService(store=store, bus=bus, receivers=bus.directory.addresses(), clock=clock),
                "people": PeopleService(
                    store=store,
                    memory=memory,
                    usage=usage,
                    ledger=ledger,
                    summaries=summaries,
                    traces=traces,
                    database=database,
                    groups=groups,
                    contracts=agreed,
                    archive=archive,
                    feed=feed,
                ),
                "providers": ProviderService(
                    settings=settings, providers=providers, models=models, ledger=ledger, usage=usage, clock=clock
                ),
                "templates": TemplateService(),
                "tools": ToolService(catalogue=tools, deployments=deployments, new_id=new_id),
                "server": ServerService(
                    settings=settings,
                    version=version("caxton"),
                    supervisor=supervisor,
                    providers=providers,
                    clock=clock,
                    checks=(
                        lambda: _database_health(database),
                        lambda: _agents_health(supervisor),
                        Requirements(supervisor).health,
                        memory.health,
                    ),
                ),
            },
        )


def _tool_settings(settings: ServerSettings, deployments: Deployments) -> ToolSettings:
    """The settings of tools, with the servers of JSON files and those sent over HTTP, and a place for compiled code.

    There is always one for agents' own memory and one for messages to other agents, unless another one has its name. A
    server of caxton.toml goes before another of its name, one of a JSON file before one that was sent.
    ConfigurationError with every error of the JSON files.
    """
    cache = {"cache": str(settings.data_dir / WASM_CACHE)}
    servers = {
        name: msgspec.structs.replace(one, options={**cache, **one.options}) if one.kind == "wasm" else one
        for name, one in settings.tools.servers.items()
    }
    wrong: list[Diagnostic] = []
    for path in settings.tools.mcp_json:
        found = read_mcp_json(read_source(path).text, path)
        wrong += [diagnostic for diagnostic in found.diagnostics if diagnostic.is_error]
        servers = {**found.servers, **servers}
    if wrong:
        raise ConfigurationError(wrong)
    own = {name: McpServerSettings(name=name, kind=name) for name in (MEMORY, MESSAGING)}
    return msgspec.structs.replace(settings.tools, servers={**own, **deployments.servers(), **servers})


@asynccontextmanager
async def _watching(definitions: Definitions) -> AsyncIterator[None]:
    """The agents directory followed by a task that ends with the block; if the task fails, so does the block."""
    stop, watching = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(definitions.watch(stop, watching), name="agents directory watcher")
        try:
            await watching.wait()
            yield
        finally:
            stop.set()


def _database_health(database: Database) -> ComponentHealth:
    try:
        # From a table: a query of none never touches the file.
        database.read(lambda session: session.execute("SELECT number FROM migrations LIMIT 1"))
    except CaxtonError as error:
        return ComponentHealth(name="database", status=HealthStatus.FAILED, detail=error.message, required=True)
    return ComponentHealth(name="database", status=HealthStatus.OK, required=True)


def _agents_health(supervisor: Supervisor) -> ComponentHealth:
    states = [actor.state for actor in supervisor.all()]
    failed = states.count(AgentState.FAILED)
    return ComponentHealth(
        name="agents",
        status=HealthStatus.DEGRADED if failed else HealthStatus.OK,
        detail=f"{states.count(AgentState.RUNNING)} running, {failed} failed, {len(states)} in all",
    )
