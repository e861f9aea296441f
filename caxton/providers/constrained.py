"""Tool calls for models that know nothing of tools, by constrained decoding.

The tools are told in the system prompt, and the answer is held to a JSON schema: an object that is either a call of one
of the tools, its arguments fitting their schema, or a reply. So even a model far too small to follow instructions
writes calls that are well formed. llama.cpp turns such a schema into a grammar that the sampler cannot leave.
"""

import json
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import msgspec
from pydantic_core import from_json

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
)

TOOL, ARGUMENTS, REPLY = "tool", "arguments", "reply"


def constrain(request: CompletionRequest) -> CompletionRequest:
    """The same request without tools, which asks for an object that `interpret` reads.

    With tool choice `none` the answer is free, and earlier calls and results stay readable as text.
    """
    tools = () if request.tool_choice is ToolChoice.NONE else request.tools
    must = request.tool_choice is ToolChoice.REQUIRED
    messages = tuple(spoken(message) for message in request.messages)
    return msgspec.structs.replace(
        request,
        messages=_with_tools(messages, tools, must=must) if tools else messages,
        tools=(),
        tool_choice=ToolChoice.AUTO,
        response_schema=_schema(tools, request.response_schema, must=must) if tools else request.response_schema,
    )


def constrains(request: CompletionRequest) -> bool:
    """Whether the answer to the constrained request has to be interpreted."""
    return bool(request.tools) and request.tool_choice is not ToolChoice.NONE


def interpret(completion: Completion) -> Completion:
    """The call or the reply that the model wrote; a reply cut off by the token limit as far as it goes.

    Of a call that was cut off, the arguments are what there is of them, for which whoever reads them has words.
    """
    value, whole = _read(completion.text)
    if not isinstance(name := value.get(TOOL), str):
        return msgspec.structs.replace(completion, text=_reply(value))
    if whole:
        call = ToolCall(id="call_0", name=name, arguments=json.dumps(value.get(ARGUMENTS, {})))
        return msgspec.structs.replace(completion, text="", tool_calls=(call,), finish_reason=FinishReason.TOOL_CALLS)
    arguments = completion.text.partition(f'"{ARGUMENTS}"')[2].lstrip(" \t\n\r:")
    # Before its arguments began not even the name is sure to be the whole name.
    calls = (ToolCall(id="call_0", name=name, arguments=arguments),) if arguments else ()
    return msgspec.structs.replace(completion, text="", tool_calls=calls)


async def interpreted(pieces: AsyncGenerator[Delta | Completion]) -> AsyncGenerator[Delta | Completion]:
    """The stream of a constrained answer, with the text of the reply as it comes."""
    written, told = "", 0
    async for piece in pieces:
        if isinstance(piece, Completion):
            whole = interpret(piece)
            if not whole.tool_calls and len(whole.text) > told:
                yield Delta(whole.text[told:])
            yield whole
            return
        written += piece.text
        reply = _read(written)[0].get(REPLY)
        # A reply that is no text comes as a whole: what there is of it is closed by whoever reads it, and so no part of
        # what it will be. Of a text the reader leaves out an escape sequence that is still to be completed.
        if isinstance(reply, str) and len(reply) > told:
            yield Delta(reply[told:])
            told = len(reply)


def spoken(message: ChatMessage) -> ChatMessage:
    """A message as a chat template takes it that has neither calls nor results."""
    if message.role is Role.TOOL:
        return ChatMessage(Role.USER, f"The tool answered: {message.content}")
    if message.tool_calls:
        calls = [
            f'{{"{TOOL}": {json.dumps(call.name)}, "{ARGUMENTS}": {call.arguments}}}' for call in message.tool_calls
        ]
        return ChatMessage(Role.ASSISTANT, "\n".join(filter(None, [message.content, *calls])))
    return message


def _with_tools(messages: tuple[ChatMessage, ...], tools: Iterable[ToolSpec], *, must: bool) -> tuple[ChatMessage, ...]:
    listed = "\n".join(
        f"- {tool.name}({', '.join(tool.parameters.get('properties', {}))}): {tool.description}" for tool in tools
    )
    told = f'Tools you can use:\n{listed}\nUse a tool by answering {{"{TOOL}": its name, "{ARGUMENTS}": {{…}}}}.' + (
        "" if must else f' When you need none, answer {{"{REPLY}": your text}}.'
    )
    first, *others = messages
    if first.role is Role.SYSTEM:
        return (msgspec.structs.replace(first, content=f"{first.content}\n\n{told}"), *others)
    return (ChatMessage(Role.SYSTEM, told), *messages)


def _schema(tools: Iterable[ToolSpec], answer: ResponseSchema | None, *, must: bool) -> ResponseSchema:
    forms = [_form({TOOL: {"const": tool.name}, ARGUMENTS: tool.parameters}) for tool in tools]
    if not must:
        forms.append(_form({REPLY: answer.schema if answer else {"type": "string"}}))
    return ResponseSchema(schema={"oneOf": forms})


def _form(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _read(text: str) -> tuple[dict[str, Any], bool]:
    """The object as far as it is written, and whether that is all of it."""
    for partial in (False, "trailing-strings"):
        try:
            value = from_json(text, allow_partial=partial)
        except ValueError:
            continue
        return (value, not partial) if isinstance(value, dict) else ({}, False)
    return {}, False


def _reply(value: dict[str, Any]) -> str:
    reply = value.get(REPLY, "")
    return reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
