"""How a provider comes to an answer: the prompt, the model, and the tools it calls on the way."""

from datetime import UTC, datetime

import msgspec

from caxton.domain.agent import AgentDefinition, ContextStrategy
from caxton.domain.completion import (
    ChatMessage,
    Completion,
    CompletionRequest,
    FinishReason,
    ResponseSchema,
    Role,
    ToolChoice,
)
from caxton.domain.conversation import Group, History
from caxton.domain.errors import Code, ProviderError
from caxton.domain.identifiers import IdSource
from caxton.domain.ports.bus import Bus
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.messages import MessageStore
from caxton.domain.ports.provider import Provider
from caxton.domain.ports.providers import Providers
from caxton.domain.ports.tools import Tools
from caxton.domain.prompt import render
from caxton.domain.turn import TextDelta
from caxton.runtime.company import Company, exchanges, lines, reading, said_before
from caxton.runtime.images import images_in
from caxton.runtime.models import LanguageModels, ModelCall
from caxton.runtime.offered import wording
from caxton.runtime.recall import in_words, within
from caxton.runtime.summaries import Summaries
from caxton.runtime.toolbox import WARNING, Toolbox, open_toolbox
from caxton.runtime.turn_state import Turn
from caxton.runtime.window import BYTES_A_TOKEN, ContextWindow, Prompt, estimate_tokens

BETWEEN = "\n\n"
"""What is put between the texts of a turn's answers, where a model says something before it calls a tool."""


class Answering:
    """Answers turns by one provider at a time; whatever belongs to one turn comes with the call."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: MessageStore,
        providers: Providers,
        models: LanguageModels,
        clock: Clock,
        new_id: IdSource,
        summaries: Summaries,
        tools: Tools | None,
        company: Company | None = None,
    ) -> None:
        self._bus = bus
        self._store = store
        self._providers = providers
        self._models = models
        self._clock = clock
        self._new_id = new_id
        self._summaries = summaries
        self._tools = tools
        self._company = company
        self._window = ContextWindow()

    async def answer(self, turn: Turn, agent: AgentDefinition) -> Completion:
        """The answer of the turn's provider, after as many rounds of tool calls as it wants and the agent allows.

        `agent` is the turn's, as this provider is asked. CaxtonError where there is none.
        """
        toolbox = None
        if self._tools:
            toolbox = await open_toolbox(self._tools, agent, turn.request.id, self._new_id, self._bus.publish)
        turn.prompt = await self._prompt(turn, agent, toolbox)
        messages = turn.prompt.messages
        texts: list[str] = []
        rounds = agent.resources.tool_rounds if toolbox else 0
        while True:
            completion = await self._ask(turn, agent, messages, toolbox, may_call=rounds > 0, goes_on=bool(texts))
            turn.answered(completion)
            texts += [completion.text] if completion.text else []
            if not (toolbox and completion.tool_calls and rounds > 0):
                break
            rounds -= 1
            called = ChatMessage(Role.ASSISTANT, completion.text, tool_calls=completion.tool_calls)
            results = await toolbox.run(
                completion.tool_calls,
                room=self._room(agent, turn, completion, messages) * BYTES_A_TOKEN,
                cut=completion.finish_reason is FinishReason.LENGTH,
            )
            turn.steps = toolbox.steps
            messages = (*messages, called, *results)
        completion = msgspec.structs.replace(completion, text=BETWEEN.join(texts))
        if agent.llm.response_schema:
            _check_json(completion)
        return completion

    async def _ask(
        self,
        turn: Turn,
        agent: AgentDefinition,
        messages: tuple[ChatMessage, ...],
        toolbox: Toolbox | None,
        *,
        may_call: bool,
        goes_on: bool,
    ) -> Completion:
        """One answer of the model. `goes_on` tells that it said something earlier in this turn."""
        llm = agent.llm
        call = ModelCall(
            provider=turn.provider,
            request=CompletionRequest(
                messages=messages,
                model=llm.model,
                temperature=llm.temperature,
                top_p=llm.top_p,
                max_tokens=llm.max_tokens,
                stop=llm.stop,
                seed=llm.seed,
                tools=toolbox.specs if toolbox else (),
                tool_choice=ToolChoice.NONE if toolbox and not may_call else ToolChoice.AUTO,
                response_schema=ResponseSchema(schema=llm.response_schema) if llm.response_schema else None,
            ),
            prompt_tokens=turn.prompt.tokens,
            agent=agent.name,
            conversation_id=turn.request.conversation_id,
            limits=agent.limits,
        )
        between = BETWEEN if goes_on else ""

        def on_text(text: str) -> None:
            nonlocal between
            turn.first_token = turn.first_token or turn.duration
            self._bus.publish(TextDelta(request=turn.request.id, text=between + text))
            between = ""

        return await self._models.ask(call, on_text if self._bus.followed(turn.request.id) else None)

    async def _prompt(self, turn: Turn, agent: AgentDefinition, toolbox: Toolbox | None) -> Prompt:
        request, provider = turn.request, self._providers.get(turn.provider)
        group = self._company.find(request) if self._company else None
        if toolbox:
            agent = _told(agent, WARNING)
        if self._company and group:
            agent = _told(agent, self._company.introduce(group, agent.name))
        overhead = toolbox.tokens if toolbox else 0
        sums_up = agent.conversation.strategy is ContextStrategy.SUMMARIZE
        room = 0
        if turn.recalled or sums_up:
            # What is recalled takes half of what system prompt and message leave at most, and a summary half of that:
            # they must not push out the rest.
            known = (ChatMessage(Role.SYSTEM, agent.system_prompt), ChatMessage(Role.USER, wording(request)))
            room = self._window.room(agent, provider, estimate_tokens(known) + overhead)
            turn.recalled = within(turn.recalled, room // 2 * BYTES_A_TOKEN)
        images = images_in(request)
        brought = request.content.get("history")
        if brought is not None:
            history = msgspec.convert(brought, tuple[ChatMessage, ...])
            return await self._window.given(
                agent,
                provider,
                history=history,
                text=self._user_text(turn, agent, wording(request)),
                images=images,
                overhead=overhead,
            )
        if sums_up and (
            summary := self._summaries.find(request.conversation_id, agent.name, room // 4 * BYTES_A_TOKEN)
        ):
            agent = _told(agent, summary)
        if group and group.history is History.SHARED:
            return await self._shared(turn, agent, provider, group, overhead)
        limit = agent.conversation.max_turns
        stored = self._store.history(request.conversation_id, agent.name, limit)
        is_full = len(stored) == limit
        if group:
            stored = [one for one in stored if one.request.sender == request.sender]
        prompt = await self._window.fit(
            agent,
            provider,
            conversation_id=request.conversation_id,
            history=stored,
            text=self._user_text(turn, agent, wording(request)),
            images=images,
            overhead=overhead,
            history_is_full=is_full,
        )
        turn.fallen = tuple(stored[: prompt.left_out])
        return prompt

    async def _shared(
        self, turn: Turn, agent: AgentDefinition, provider: Provider, group: Group, overhead: int
    ) -> Prompt:
        """The prompt in a group whose agents are given what all of them said."""
        request = turn.request
        limit = reading(group, agent.conversation.max_turns)
        stored = await self._store.messages(agent=None, conversation_id=request.conversation_id, limit=limit)
        said = said_before([one.message for one in reversed(stored)], request)
        prompt = await self._window.shared(
            agent,
            provider,
            conversation_id=request.conversation_id,
            lines=lines(said, agent.name, request),
            wrap=lambda text: self._user_text(turn, agent, text),
            images=images_in(request),
            overhead=overhead,
            history_is_full=len(stored) == limit,
        )
        turn.fallen = exchanges(said[: prompt.left_out])
        return prompt

    def _user_text(self, turn: Turn, agent: AgentDefinition, text: str) -> str:
        """What the agent is to answer, as the model reads it.

        What is recalled comes with it rather than with the system prompt: so all prompts of a conversation begin alike,
        and a model with a prompt cache reads the new part alone.
        """
        recalled = in_words(turn.recalled)
        if agent.user_prompt_template is None:
            return f"{recalled}\n\nMessage: {text}" if recalled else text
        timestamp = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        values = {**agent.parameters, "request": text, "context": recalled, "timestamp": timestamp}
        return render(agent.user_prompt_template, values)

    def _room(
        self, agent: AgentDefinition, turn: Turn, completion: Completion, messages: tuple[ChatMessage, ...]
    ) -> int:
        """Tokens that are left in the window for the results of the calls just made."""
        usage = completion.usage
        provider = self._providers.get(turn.provider)
        if usage:
            return self._window.room(agent, provider, usage.prompt_tokens + usage.completion_tokens)
        return self._window.room(agent, provider, estimate_tokens(messages))


def _told(agent: AgentDefinition, more: str) -> AgentDefinition:
    """The agent with more in its system prompt."""
    return msgspec.structs.replace(agent, system_prompt=f"{agent.system_prompt}\n\n{more}") if more else agent


def _check_json(completion: Completion) -> None:
    """ProviderError where an answer that was to be JSON is none."""
    try:
        msgspec.json.decode(completion.text)
    except msgspec.DecodeError as error:
        cut = completion.finish_reason is FinishReason.LENGTH
        raise ProviderError(
            Code.PROVIDER_MALFORMED,
            f"Model {completion.model!r} was to answer with JSON and did not.",
            why="The answer was cut off at `max_tokens`." if cut else str(error),
            hint="Raise `max_tokens` in `[llm]`." if cut else "Choose a model that can be held to a JSON schema.",
        ) from error
