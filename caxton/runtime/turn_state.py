"""One turn as it runs."""

import time

from caxton.domain.agent import AgentDefinition
from caxton.domain.completion import Completion, Usage
from caxton.domain.errors import ErrorReport
from caxton.domain.message import Exchange, Message
from caxton.domain.turn import ProviderFailure, Recalled, ToolStep, TurnTrace
from caxton.runtime.window import Prompt

NOTHING = Prompt(messages=(), tokens=0)


class Turn:
    """Which provider is being asked, with what, and what has been so far. `now` is in seconds since the epoch, UTC."""

    def __init__(self, agent: AgentDefinition, request: Message, now: float) -> None:
        self.agent = agent
        self.request = request
        self.provider = ""
        self.prompt = NOTHING
        self.fallbacks: tuple[ProviderFailure, ...] = ()
        self.fallen: tuple[Exchange, ...] = ()
        """The exchanges of the conversation that the window had no room for, oldest first."""
        self.recalled: tuple[Recalled, ...] = ()
        self.steps: tuple[ToolStep, ...] = ()
        self.first_token: float | None = None
        self._usages: list[Usage | None] = []
        self._began = time.perf_counter()
        self._started_at = now

    @property
    def duration(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    @property
    def usage(self) -> Usage | None:
        """The tokens of all answers of the model together; None where one of them was not counted."""
        counted = [usage for usage in self._usages if usage]
        if not counted or len(counted) < len(self._usages):
            return None
        return Usage(
            prompt_tokens=sum(usage.prompt_tokens for usage in counted),
            completion_tokens=sum(usage.completion_tokens for usage in counted),
        )

    def begin(self, provider: str) -> None:
        """Ask this provider now."""
        self.provider = provider
        self.prompt = NOTHING

    def answered(self, completion: Completion) -> None:
        """Count an answer of the model, be it the last or one that calls tools."""
        self._usages.append(completion.usage)

    def trace(self, *, model: str = "", reply: str = "", error: ErrorReport | None = None) -> TurnTrace:
        """The whole turn, which ends now."""
        first = next(iter(self._usages), None)
        return TurnTrace(
            request=self.request.id,
            agent=self.agent.name,
            agent_version=self.agent.version,
            conversation_id=self.request.conversation_id,
            provider=self.provider,
            model=model or self.agent.llm.model or "",
            started_at=self._started_at,
            prompt=self.prompt.messages,
            prompt_tokens=first.prompt_tokens if first else self.prompt.tokens,
            left_out=self.prompt.left_out,
            waited=max(0.0, self._started_at - self.request.created_at),
            first_token=self.first_token,
            duration=self.duration,
            fallbacks=self.fallbacks,
            recalled=self.recalled,
            steps=self.steps,
            reply=reply,
            error=error,
        )
