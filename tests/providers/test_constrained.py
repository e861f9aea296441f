"""Models that know nothing of tools call them in JSON, however that arrives and wherever it is cut off."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from caxton.providers.constrained import constrain, constrains, interpret, interpreted

LOOK = ToolSpec(
    name="look", description="Look at a thing.", parameters={"type": "object", "properties": {"at": {"type": "string"}}}
)
WAIT = ToolSpec(name="wait", description="Wait.", parameters={"type": "object"})
NAMES = st.sampled_from(["look", "wait", "a.b-c_d"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)


def request(*messages: ChatMessage, **fields) -> CompletionRequest:
    said = messages or (ChatMessage(Role.SYSTEM, "Be brief."), ChatMessage(Role.USER, "hi"))
    return CompletionRequest(messages=said, **{"tools": (LOOK, WAIT), **fields})


def completion(text: str, finish: FinishReason = FinishReason.STOP) -> Completion:
    return Completion(text=text, model="m", finish_reason=finish)


async def streamed(pieces: list[str], whole: Completion) -> list[Delta | Completion]:
    async def written():
        for piece in pieces:
            yield Delta(piece)
        yield whole

    return [piece async for piece in interpreted(written())]


@st.composite
def in_pieces(draw, texts: st.SearchStrategy[str]) -> list[str]:
    """A text cut at any places."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


def written(value: object, ascii: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii)


REPLIES = st.builds(lambda text, ascii: written({"reply": text}, ascii), st.text(), st.booleans())
OBJECTS = st.builds(lambda value, ascii: written({"reply": value}, ascii), ARGUMENTS, st.booleans())
CALLS = st.builds(
    lambda name, arguments, ascii: written({"tool": name, "arguments": arguments}, ascii),
    NAMES,
    ARGUMENTS,
    st.booleans(),
)


@given(in_pieces(REPLIES))
async def test_a_reply_is_the_same_however_it_is_cut_into_pieces(pieces):
    text = json.loads("".join(pieces))["reply"]
    *deltas, whole = await streamed(pieces, completion("".join(pieces)))
    assert "".join(delta.text for delta in deltas) == whole.text == text
    assert all(delta.text for delta in deltas)
    assert (whole.tool_calls, whole.finish_reason) == ((), FinishReason.STOP)


@given(in_pieces(OBJECTS))
async def test_a_reply_by_a_schema_is_its_json_however_it_is_cut_into_pieces(pieces):
    value = json.loads("".join(pieces))["reply"]
    *deltas, whole = await streamed(pieces, completion("".join(pieces)))
    assert "".join(delta.text for delta in deltas) == whole.text
    assert json.loads(whole.text) == value


@given(in_pieces(CALLS), st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
async def test_a_call_is_the_same_however_it_is_cut_into_pieces(pieces, finish):
    value = json.loads("".join(pieces))
    (whole,) = await streamed(pieces, completion("".join(pieces), finish))
    (call,) = whole.tool_calls
    assert (call.name, json.loads(call.arguments)) == (value["tool"], value["arguments"])
    assert (whole.text, whole.finish_reason) == ("", FinishReason.TOOL_CALLS)


@given(in_pieces(REPLIES), st.data())
async def test_a_reply_that_is_cut_off_is_told_as_far_as_it_goes(pieces, data):
    text = "".join(pieces)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    *deltas, whole = await streamed([cut[: len(cut) // 2], cut[len(cut) // 2 :]], completion(cut, FinishReason.LENGTH))
    assert "".join(delta.text for delta in deltas) == whole.text
    assert json.loads(text)["reply"].startswith(whole.text)
    assert whole.finish_reason is FinishReason.LENGTH


@given(CALLS, st.data())
def test_a_call_that_is_cut_off_is_never_a_call_that_can_be_made(text, data):
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    whole = interpret(completion(cut, FinishReason.LENGTH))
    assert whole.finish_reason is FinishReason.LENGTH
    assert whole.text == ""
    for call in whole.tool_calls:
        assert call.name == json.loads(text)["tool"]
        assert call.arguments
        # Nothing but the object's own closing bracket may be missing beside what the arguments themselves lack.
        assert text.endswith(call.arguments + text[len(cut) :])


@given(st.text())
async def test_whatever_is_written_instead_is_an_answer_without_text(text):
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    whole = interpret(completion(text))
    if not isinstance(value, dict):
        assert whole.tool_calls == ()
    assert (await streamed([text], completion(text)))[-1] == whole


def test_the_tools_are_told_in_the_system_prompt_and_held_to_their_schemas():
    asked = constrain(request())
    system = asked.messages[0].content
    assert system.startswith("Be brief.\n\n")
    assert "look(at): Look at a thing." in system
    assert "wait(): Wait." in system
    forms = asked.response_schema.schema["oneOf"]
    assert [form["properties"].get("tool") for form in forms] == [{"const": "look"}, {"const": "wait"}, None]
    assert forms[0]["properties"]["arguments"] == LOOK.parameters
    assert forms[2]["properties"] == {"reply": {"type": "string"}}
    assert all(form["required"] == list(form["properties"]) for form in forms)
    assert (asked.tools, asked.tool_choice) == ((), ToolChoice.AUTO)


def test_a_conversation_without_a_system_prompt_gets_one():
    asked = constrain(request(ChatMessage(Role.USER, "hi")))
    assert [message.role for message in asked.messages] == [Role.SYSTEM, Role.USER]
    assert asked.messages[0].content.startswith("Tools you can use:")


def test_a_model_that_must_call_has_no_way_to_reply():
    asked = constrain(request(tool_choice=ToolChoice.REQUIRED))
    assert all("tool" in form["properties"] for form in asked.response_schema.schema["oneOf"])
    assert "reply" not in asked.messages[0].content


def test_a_model_that_must_not_call_is_not_told_of_the_tools():
    asked = request(tool_choice=ToolChoice.NONE)
    assert not constrains(asked)
    assert constrain(asked) == msgspec.structs.replace(asked, tools=(), tool_choice=ToolChoice.AUTO)


def test_a_request_without_tools_stays_as_it_is():
    asked = request(tools=())
    assert not constrains(asked)
    assert constrain(asked) == asked


def test_a_reply_may_have_a_schema_of_its_own():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    asked = constrain(request(response_schema=ResponseSchema(schema=schema)))
    assert asked.response_schema.schema["oneOf"][-1]["properties"] == {"reply": schema}
    assert constrain(request(tools=(), response_schema=ResponseSchema(schema=schema))).response_schema.schema == schema


@pytest.mark.parametrize("choice", [ToolChoice.AUTO, ToolChoice.NONE])
def test_calls_and_results_of_before_are_told_as_text(choice):
    call = ToolCall(id="c", name="look", arguments='{"at": "it"}')
    asked = constrain(
        request(
            ChatMessage(Role.USER, "What is it?"),
            ChatMessage(Role.ASSISTANT, "Let me see.", tool_calls=(call,)),
            ChatMessage(Role.TOOL, "a cat", tool_call_id="c"),
            tool_choice=choice,
        )
    )
    told = asked.messages[-2:]
    assert [message.role for message in told] == [Role.ASSISTANT, Role.USER]
    assert told[0].content == 'Let me see.\n{"tool": "look", "arguments": {"at": "it"}}'
    assert told[1].content == "The tool answered: a cat"
    assert not any(message.tool_calls or message.tool_call_id for message in asked.messages)
