"""Language models lent to tool servers that ask for one."""

from collections.abc import Callable

import msgspec

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import Completion, CompletionRequest
from caxton.domain.ports.providers import Providers
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.runtime.window import estimate_tokens

MOST_TOKENS = 2_000
"""Of one answer, however many a server asks for."""


class ModelSampler:
    """Implements `ports.tools.Sampler`.

    A server that works for one agent alone is lent the first of that agent's providers, with the agent's model and
    limits; one that all share, the server's default. Either way it is accounted for: as the agent's use, or as that of
    `tool:SERVER`.
    """

    def __init__(
        self,
        *,
        models: LanguageModels,
        providers: Providers,
        definition_of: Callable[[str], AgentDefinition | None],
    ) -> None:
        self._models = models
        self._providers = providers
        self._definition_of = definition_of

    async def sample(self, server: str, agent: str | None, request: CompletionRequest) -> Completion:
        definition = self._definition_of(agent) if agent is not None else None
        limit = min(request.max_tokens or MOST_TOKENS, MOST_TOKENS)
        request = msgspec.structs.replace(request, max_tokens=limit)
        provider, who = self._providers.default, f"tool:{server}"
        if definition is not None:
            provider, who = definition.providers(provider)[0], definition.name
            request = msgspec.structs.replace(request, model=definition.llm.model)
        call = ModelCall(
            provider=provider,
            request=request,
            prompt_tokens=estimate_tokens(request.messages),
            agent=who,
            conversation_id=f"tool:{server}",
        )
        if definition is not None:
            call = msgspec.structs.replace(call, limits=definition.limits)
        return await self._models.ask(call)
