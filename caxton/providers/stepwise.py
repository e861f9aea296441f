"""Tool calls for the embedded model, which is too small to choose and write at once: each in a request of its own.

First it says which tool fits the message, or that none does; then it writes the arguments of that tool, or it answers
as if there were no tools. Examples go before each question, for that is all a model of this size can follow; what they
speak of is nobody's tool, so that they do not mislead. Once a tool has answered, the model tells what it said, and
calls none again: it has no use for a second round, and would take one each time.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import msgspec

from caxton.domain.completion import (
    ChatMessage,
    Completion,
    CompletionRequest,
    Delta,
    FinishReason,
    ResponseSchema,
    Role,
    ToolCall,
    ToolChoice,
    ToolSpec,
    Usage,
)
from caxton.providers.constrained import REPLY, interpreted, spoken

Ask = Callable[[CompletionRequest], Awaitable[Completion]]
Stream = Callable[[CompletionRequest], AsyncGenerator[Delta | Completion]]

ANSWER = "answer"
"""What the model says where no tool fits."""
NO_TOOL = "Answer in your own words: greetings, thanks, general knowledge, poems and stories."
CHOICES = (
    ("Look up the word umbrella.", "dictionary__look_up"),
    ("Hi!", ANSWER),
    ("How much is 2 + 3 * 4?", "sums__add"),
    ("Which colour has a tomato?", ANSWER),
    ("Is there news on http://a.org?", "web__fetch"),
    ("Tell me a joke.", ANSWER),
    ("What does the letter of May say?", "letters__open"),
)
ARGUMENTS = (
    ("Look up the word umbrella.", "dictionary__look_up(word)", {"word": "umbrella"}),
    ("What does letters/may.txt say?", "letters__open(file)", {"file": "letters/may.txt"}),
    ("Will it rain in Rome?", "weather__forecast(timezone, city)", {"timezone": "Europe/Rome", "city": "Rome"}),
    ("Is there news on http://a.org:80/x?", "web__fetch(url)", {"url": "http://a.org:80/x"}),
    ("How much is (2 + 3) * 4?", "sums__add(expression)", {"expression": "(2 + 3) * 4"}),
)
TOLD = (
    ChatMessage(Role.USER, "Hi!"),
    ChatMessage(Role.ASSISTANT, '{"reply": "Hello! How can I help you?"}'),
    ChatMessage(Role.USER, "Use the tool lookup to find the word blue."),
    ChatMessage(Role.ASSISTANT, "", tool_calls=(ToolCall(id="lookup", name="lookup", arguments='{"word": "blue"}'),)),
    ChatMessage(Role.TOOL, "<tool_result>\nblue: a colour, as of the sky.\n</tool_result>", tool_call_id="lookup"),
    ChatMessage(Role.ASSISTANT, '{"reply": "Blue is a colour, as of the sky."}'),
)
"""How a talk with a tool goes."""


async def stepwise(
    request: CompletionRequest, *, ask: Ask, exactly: Stream, freely: Stream
) -> AsyncGenerator[Delta | Completion]:
    """The answer to a request that has tools, as it comes.

    `ask` and `exactly` take the likeliest words and do not mind if they repeat what was said; `freely` is for talk. The
    usage is that of all requests together, where it is known.
    """
    ends = None if request.timeout is None else asyncio.get_running_loop().time() + request.timeout
    must = request.tool_choice is ToolChoice.REQUIRED
    if request.messages[-1].role is Role.TOOL and not must:
        async with aclosing(interpreted(exactly(_telling(request)))) as pieces:
            async for piece in pieces:
                yield piece
        return
    chosen, spent = await _choose(request, ask, must=must)
    if chosen is None:
        async with aclosing(freely(_in_time(_without_tools(request), ends))) as pieces:
            async for piece in pieces:
                yield _adding(piece, spent) if isinstance(piece, Completion) else piece
        return
    written = await ask(_in_time(_filling(request, chosen), ends))
    whole = written.finish_reason is not FinishReason.LENGTH
    call = ToolCall(id="call_0", name=chosen.name, arguments=written.text)
    yield _adding(
        msgspec.structs.replace(
            written,
            text="",
            tool_calls=(call,) if whole or written.text else (),
            finish_reason=FinishReason.TOOL_CALLS if whole else FinishReason.LENGTH,
        ),
        spent,
    )


async def _choose(request: CompletionRequest, ask: Ask, *, must: bool) -> tuple[ToolSpec | None, Usage | None]:
    """The tool that fits the last message, None where none does; and what it cost to find out."""
    if must and len(request.tools) == 1:
        return request.tools[0], None
    none = ANSWER
    while any(tool.name == none for tool in request.tools):
        none += "_"
    listed = [f"- {tool.name}: {_first_line(tool.description)}" for tool in request.tools]
    shown = [(said, none if tool == ANSWER else tool) for said, tool in CHOICES if not (must and tool == ANSWER)]
    names = [tool.name for tool in request.tools]
    if not must:
        listed, names = [*listed, f"- {none}: {NO_TOOL}"], [*names, none]
    system = "\n".join(["Tools:", *listed, "Say which tool fits the message."])
    examples = [(said, json.dumps(tool)) for said, tool in shown]
    said = await ask(_question(request, system, examples, _last_said(request), {"enum": names}))
    name = said.text.strip().strip('"')
    return next((tool for tool in request.tools if tool.name == name), request.tools[0] if must else None), said.usage


def _filling(request: CompletionRequest, tool: ToolSpec) -> CompletionRequest:
    """Asks for the arguments of a tool; of one that needs some, for no others: the model has only nonsense for them."""
    needed = tool.parameters.get("required") or []
    properties = tool.parameters.get("properties", {})
    wanted = {name: schema for name, schema in properties.items() if name in needed} if needed else properties
    schema = {
        **tool.parameters,
        "type": "object",
        "properties": wanted,
        "required": [name for name in wanted if name in needed],
        "additionalProperties": False,
    }
    examples = [(f"{said}\n{form}", json.dumps(arguments)) for said, form, arguments in ARGUMENTS]
    system = "Write the arguments of the tool as JSON, copied from the message."
    asked = f"{_last_said(request)}\n{tool.name}({', '.join(wanted)})"
    return _question(request, system, examples, asked, schema)


def _telling(request: CompletionRequest) -> CompletionRequest:
    """Asks for a reply from what the tools answered."""
    system = [message for message in request.messages if message.role is Role.SYSTEM]
    talk = [message for message in request.messages if message.role is not Role.SYSTEM]
    tools = "\n".join(f"- {tool.name}: {_first_line(tool.description)}" for tool in request.tools)
    told = (
        f'Tools you can use:\n{tools}\nWhen a tool has answered, tell the user what it said: {{"{REPLY}": your text}}.'
    )
    first = ChatMessage(Role.SYSTEM, "\n\n".join([*(message.content for message in system), told]))
    reply: dict[str, Any] = request.response_schema.schema if request.response_schema else {"type": "string"}
    schema = {"type": "object", "properties": {REPLY: reply}, "required": [REPLY], "additionalProperties": False}
    return msgspec.structs.replace(
        _without_tools(request),
        messages=(first, *(spoken(message) for message in (*TOLD, *talk))),
        temperature=0.0,
        response_schema=ResponseSchema(schema=schema),
    )


def _without_tools(request: CompletionRequest) -> CompletionRequest:
    return msgspec.structs.replace(
        request,
        messages=tuple(spoken(message) for message in request.messages),
        tools=(),
        tool_choice=ToolChoice.AUTO,
    )


def _question(
    request: CompletionRequest, system: str, examples: list[tuple[str, str]], asked: str, schema: dict[str, Any]
) -> CompletionRequest:
    """A question of ours on the user's message: after examples of it, answered by what fits the schema."""
    shown = [
        message
        for said, answer in examples
        for message in (ChatMessage(Role.USER, said), ChatMessage(Role.ASSISTANT, answer))
    ]
    return CompletionRequest(
        messages=(ChatMessage(Role.SYSTEM, system), *shown, ChatMessage(Role.USER, asked)),
        model=request.model,
        temperature=0.0,
        max_tokens=request.max_tokens,
        seed=request.seed,
        timeout=request.timeout,
        response_schema=ResponseSchema(schema=schema),
    )


def _in_time(request: CompletionRequest, ends: float | None) -> CompletionRequest:
    """The request with what is left of the time for the whole."""
    if ends is None:
        return request
    return msgspec.structs.replace(request, timeout=max(0.0, ends - asyncio.get_running_loop().time()))


def _last_said(request: CompletionRequest) -> str:
    users = [message.content for message in request.messages if message.role is Role.USER]
    return users[-1] if users else request.messages[-1].content


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _adding(completion: Completion, spent: Usage | None) -> Completion:
    if completion.usage is None or spent is None:
        return completion
    usage = Usage(
        prompt_tokens=completion.usage.prompt_tokens + spent.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens + spent.completion_tokens,
    )
    return msgspec.structs.replace(completion, usage=usage)
