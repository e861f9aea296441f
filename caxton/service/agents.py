"""The operations on agents."""

import asyncio

from caxton.config.templates import find_template, instantiate
from caxton.domain.agent import Source
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.ports.agents import AgentStore
from caxton.domain.ports.memory import Memory
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.providers import Providers
from caxton.runtime.actor import Actor
from caxton.runtime.supervisor import Supervisor
from caxton.service.api.agents import (
    AgentDeleted,
    AgentEvents,
    AgentList,
    AgentSummary,
    AgentView,
    ConversationsErased,
    DefinitionText,
    ValidationReport,
)
from caxton.service.definitions import Definitions
from caxton.service.erasing import Eraser
from caxton.service.requirements import Requirements


class AgentService:
    """One method an operation of `service.api.agents`."""

    def __init__(
        self,
        *,
        definitions: Definitions,
        supervisor: Supervisor,
        agents: AgentStore,
        messages: MessageStore,
        providers: Providers,
        memory: Memory | None = None,
    ) -> None:
        self._definitions = definitions
        self._supervisor = supervisor
        self._agents = agents
        self._eraser = Eraser(messages, memory)
        self._providers = providers
        self._requirements = Requirements(supervisor)

    async def list(self) -> AgentList:
        actors = sorted(self._supervisor.all(), key=lambda actor: actor.name)
        return AgentList(agents=[self._summary(actor) for actor in actors], rejected=self._definitions.rejected())

    async def create(
        self, *, body: DefinitionText | None = None, template: str | None = None, name: str | None = None
    ) -> AgentView:
        if body is None:
            if not (template and name):
                raise CaxtonError(
                    Code.BODY_INVALID, "Send a definition as the body, or name a `template` and a `name` in the query."
                )
            toml = instantiate(find_template(template), name)
        elif template or name:
            raise CaxtonError(Code.BODY_INVALID, "Send either a body or a template's name, not both.")
        else:
            toml = body.toml
        return self._view(await self._definitions.write(toml, name=name))

    async def validate(self, *, body: DefinitionText) -> ValidationReport:
        try:
            loaded = await asyncio.to_thread(self._definitions.check, Source(path="(request)", text=body.toml))
        except ConfigurationError as error:
            return ValidationReport(valid=False, diagnostics=list(error.diagnostics))
        return ValidationReport(valid=True, diagnostics=list(loaded.warnings))

    async def show(self, *, name: str) -> AgentView:
        return self._view(self._supervisor.get(name))

    async def replace(self, *, name: str, body: DefinitionText) -> AgentView:
        return self._view(await self._definitions.write(body.toml, name=name, replace=True))

    async def delete(self, *, name: str, purge: bool = False) -> AgentDeleted:
        if purge:
            self._supervisor.get(name)
            # Before the agent goes: where the memory is out of reach, it can be asked for again.
            await self._eraser.memory(name)
        path = await self._definitions.delete(name, forget=purge)
        erased = 0
        if purge:
            # Again, for what it stored meanwhile.
            await self._eraser.memory(name)
            erased = await self._eraser.agent(name)
        return AgentDeleted(name=name, file=str(path or ""), messages_erased=erased)

    async def start(self, *, name: str) -> AgentView:
        return self._view(await self._supervisor.start(name))

    async def stop(self, *, name: str) -> AgentView:
        return self._view(await self._supervisor.stop(name))

    async def restart(self, *, name: str) -> AgentView:
        return self._view(await self._supervisor.restart(name))

    async def reload(self, *, name: str) -> AgentView:
        await self._definitions.reload(name)
        return self._view(self._supervisor.get(name))

    async def events(self, *, name: str, limit: int = 50) -> AgentEvents:
        self._supervisor.get(name)
        await self._supervisor.flush()
        return AgentEvents(events=await self._agents.events(name, limit))

    async def reset(self, *, name: str) -> ConversationsErased:
        self._supervisor.get(name)
        return ConversationsErased(messages_erased=await self._eraser.agent(name))

    def _provider(self, actor: Actor) -> str:
        return actor.loaded.definition.providers(self._providers.default)[0]

    def _summary(self, actor: Actor) -> AgentSummary:
        activity = actor.activity
        return AgentSummary(
            id=actor.record.id,
            name=actor.name,
            version=actor.loaded.definition.version,
            state=actor.state,
            provider=self._provider(actor),
            description=actor.loaded.definition.description,
            last_activity=activity.last_activity,
            last_error=activity.last_error.message if activity.last_error else None,
            last_reload=self._definitions.result(actor.name).outcome,
        )

    def _view(self, actor: Actor) -> AgentView:
        return AgentView(
            id=actor.record.id,
            name=actor.name,
            state=actor.state,
            provider=self._provider(actor),
            file=str(self._definitions.file_of(actor.name) or ""),
            created_at=actor.record.created_at,
            definition=actor.loaded.definition,
            activity=actor.activity,
            last_reload=self._definitions.result(actor.name),
            warnings=self._requirements.warnings(actor),
        )
