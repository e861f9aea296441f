"""The one place where the parts are put together."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from caxton.bus.archive import Archive
from caxton.bus.contract_net import ContractNet, open_contracts
from caxton.bus.feed import BusFeed, open_feed
from caxton.bus.groups import StoredGroups, open_groups
from caxton.bus.keeping import open_keeping
from caxton.bus.local import LocalBus, open_bus
from caxton.bus.metrics import BusMetrics
from caxton.bus.stores.sqlite import RESCUED, SqliteMessageStore
from caxton.bus.stores.sqlite_conversations import SqliteGroupStore
from caxton.config.location import url_of
from caxton.config.settings import load_settings
from caxton.config.source import read_source
from caxton.domain.agent import MemoryScope
from caxton.domain.clock import SystemClock
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, ConfigurationError
from caxton.domain.health import ComponentHealth, HealthStatus
from caxton.domain.identifiers import IdSource
from caxton.domain.lifecycle import AgentState
from caxton.domain.memory import MemorySpace
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database, Session
from caxton.domain.ports.delivery import DeliveryStore
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.providers import Providers
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
from caxton.runtime.ledger import Ledger, open_ledger
from caxton.runtime.messenger import BusMessenger
from caxton.runtime.models import LanguageModels
from caxton.runtime.recall import space_of
from caxton.runtime.roster import Roster
from caxton.runtime.sampling import ModelSampler
from caxton.runtime.subscriptions import Subscriptions
from caxton.runtime.summaries import Summaries, open_summaries
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
from caxton.tools.catalogue import Catalogue, open_tools
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

        roster = Roster()
        messenger = BusMessenger(
            bus=bus,
            contacts=roster.contacts,
            able=bus.directory.providers,
            patience=roster.patience,
            clock=clock,
            new_id=new_id,
        )
        own = {MEMORY: memory_kind(memory, _home_of(roster, store)), MESSAGING: messaging_kind(messenger)}
        tools = await stack.enter_async_context(
            open_tools(
                _tool_settings(settings, deployments),
                clock=clock,
                new_id=new_id,
                environ=os.environ,
                kind_of=lambda kind: own.get(kind) or host_kind(kind),
                sampler=ModelSampler(models=models, providers=providers, definition_of=roster.definition),
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
            company=Company(groups, roster.description),
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
        roster.supervisor = supervisor
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
        await stack.enter_async_context(
            open_keeping(
                store=store,
                settings=settings.bus,
                archive=archive,
                clock=clock,
                running=lambda: {*bus.directory.addresses()} - roster.at_rest(),
                observers=(metrics, feed),
            )
        )
        parts = _Parts(
            settings=settings,
            clock=clock,
            new_id=new_id,
            database=database,
            store=store,
            agents=agents,
            bus=bus,
            metrics=metrics,
            feed=feed,
            groups=groups,
            keeper=keeper,
            providers=providers,
            traces=traces,
            usage=usage,
            ledger=ledger,
            models=models,
            summaries=summaries,
            memory=memory,
            deployments=deployments,
            tools=tools,
            supervisor=supervisor,
            agreed=agreed,
            contracts=contracts,
            definitions=definitions,
            archive=archive,
        )
        yield Caxton(settings=settings, services=_services(parts))


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What the services are made of."""

    settings: ServerSettings
    clock: Clock
    new_id: IdSource
    database: Database
    store: SqliteMessageStore
    agents: SqliteAgentStore
    bus: LocalBus
    metrics: BusMetrics
    feed: BusFeed
    groups: SqliteGroupStore
    keeper: StoredGroups
    providers: Providers
    traces: Traces
    usage: SqliteUsageStore
    ledger: Ledger
    models: LanguageModels
    summaries: Summaries
    memory: Memory
    deployments: Deployments
    tools: Catalogue
    supervisor: Supervisor
    agreed: SqliteContractStore
    contracts: ContractNet
    definitions: Definitions
    archive: Archive


def _services(parts: _Parts) -> Mapping[str, object]:
    """For each noun of the operation table the object that carries it out."""
    return {
        "agents": AgentService(
            definitions=parts.definitions,
            supervisor=parts.supervisor,
            agents=parts.agents,
            messages=parts.store,
            providers=parts.providers,
            memory=parts.memory,
        ),
        "bus": BusService(metrics=parts.metrics, store=parts.store),
        "events": EventService(feed=parts.feed),
        "traces": TraceService(store=parts.store, traces=parts.traces),
        "capabilities": CapabilityService(offers=parts.bus.directory, supervisor=parts.supervisor),
        "memory": MemoryService(memory=parts.memory, clock=parts.clock),
        "messages": MessageService(
            bus=parts.bus,
            store=parts.store,
            supervisor=parts.supervisor,
            traces=parts.traces,
            clock=parts.clock,
            new_id=parts.new_id,
            largest=parts.settings.max_body_bytes,
        ),
        "contracts": ContractService(
            contracts=parts.contracts,
            store=parts.agreed,
            supervisor=parts.supervisor,
            groups=parts.keeper,
            clock=parts.clock,
            new_id=parts.new_id,
        ),
        "conversations": ConversationService(
            store=parts.store,
            groups=parts.groups,
            bus=parts.bus,
            clock=parts.clock,
            new_id=parts.new_id,
            expect_agent=parts.supervisor.get,
            eraser=Eraser(parts.store, parts.memory, parts.groups),
        ),
        "dlq": DeadLetterService(
            store=parts.store, bus=parts.bus, receivers=parts.bus.directory.addresses(), clock=parts.clock
        ),
        "people": PeopleService(
            store=parts.store,
            memory=parts.memory,
            usage=parts.usage,
            ledger=parts.ledger,
            summaries=parts.summaries,
            traces=parts.traces,
            database=parts.database,
            groups=parts.groups,
            contracts=parts.agreed,
            archive=parts.archive,
            feed=parts.feed,
        ),
        "providers": ProviderService(
            settings=parts.settings,
            providers=parts.providers,
            models=parts.models,
            ledger=parts.ledger,
            usage=parts.usage,
            clock=parts.clock,
        ),
        "templates": TemplateService(),
        "tools": ToolService(catalogue=parts.tools, deployments=parts.deployments, new_id=parts.new_id),
        "server": ServerService(
            settings=parts.settings,
            version=version("caxton"),
            supervisor=parts.supervisor,
            providers=parts.providers,
            clock=parts.clock,
            checks=(
                lambda: _database_health(parts.database),
                lambda: _agents_health(parts.supervisor),
                Requirements(parts.supervisor).health,
                parts.memory.health,
            ),
        ),
    }


def _home_of(roster: Roster, store: DeliveryStore) -> Callable[[ToolCall], MemorySpace | None]:
    """Where the memory's tools find what an agent remembers: in the space that its own definition names."""

    def home(call: ToolCall) -> MemorySpace | None:
        definition = roster.definition(call.agent or "")
        if definition is None:
            return own_memory(call)
        if definition.memory.scope is not MemoryScope.SESSION:
            return space_of(definition, "")
        served = store.find(call.request or "")
        return space_of(definition, served.message.conversation_id) if served else None

    return home


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
