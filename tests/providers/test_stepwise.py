"""The embedded model chooses a tool, fills in its arguments and tells its result, each in a request of its own."""

import json

import pytest

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
from caxton.providers.stepwise import stepwise

LOOK = ToolSpec(
    name="look",
    description="Look at a thing.\nAt length.",
    parameters={
        "type": "object",
        "properties": {"at": {"type": "string"}, "zoom": {"type": "number"}},
        "required": ["at"],
    },
)
WAIT = ToolSpec(name="wait", description="Wait.", parameters={"properties": {"seconds": {"type": "number"}}})
SYSTEM = ChatMessage(Role.SYSTEM, "Be brief.")
USER = ChatMessage(Role.USER, "Look at the cat.")
CALLED = ChatMessage(Role.ASSISTANT, "", tool_calls=(ToolCall(id="c", name="look", arguments='{"at": "cat"}'),))
RESULT = ChatMessage(Role.TOOL, "It sleeps.", tool_call_id="c")
COST = Usage(prompt_tokens=10, completion_tokens=2)


class Model:
    """Says these answers in turn; `asked` has each request, and which way it was asked."""

    def __init__(self, *answers: str, finish: FinishReason = FinishReason.STOP) -> None:
        self._answers = list(answers)
        self._finish = finish
        self.asked: list[tuple[str, CompletionRequest]] = []

    def _answer(self, way: str, request: CompletionRequest) -> Completion:
        self.asked.append((way, request))
        text = self._answers.pop(0)
        return Completion(
            text=text, model="m", usage=COST, finish_reason=FinishReason.STOP if self._answers else self._finish
        )

    async def ask(self, request: CompletionRequest) -> Completion:
        return self._answer("ask", request)

    async def exactly(self, request: CompletionRequest):
        whole = self._answer("exactly", request)
        yield Delta(whole.text)
        yield whole

    async def freely(self, request: CompletionRequest):
        whole = self._answer("freely", request)
        yield Delta(whole.text)
        yield whole

    async def answers(self, *messages: ChatMessage, **fields) -> list[Delta | Completion]:
        request = CompletionRequest(messages=messages, **{"tools": (LOOK, WAIT), **fields})
        steps = stepwise(request, ask=self.ask, exactly=self.exactly, freely=self.freely)
        return [piece async for piece in steps]

    @property
    def ways(self) -> list[str]:
        return [way for way, _ in self.asked]


def choices(request: CompletionRequest) -> list[str]:
    return request.response_schema.schema["enum"]


async def test_a_tool_that_fits_is_called_with_arguments_by_its_schema():
    model = Model('"look"', '{"at": "cat"}')
    (completion,) = await model.answers(SYSTEM, USER)
    assert completion.tool_calls == (ToolCall(id="call_0", name="look", arguments='{"at": "cat"}'),)
    assert (completion.text, completion.finish_reason) == ("", FinishReason.TOOL_CALLS)
    assert completion.usage == Usage(prompt_tokens=20, completion_tokens=4)
    choosing, filling = (request for _, request in model.asked)
    assert choices(choosing) == ["look", "wait", "answer"]
    assert "- look: Look at a thing.\n- wait: Wait.\n" in choosing.messages[0].content
    assert choosing.messages[-1] == USER
    # An argument that may be left out is left out: the model knows nothing to put there.
    assert list(filling.response_schema.schema["properties"]) == ["at"]
    assert filling.messages[-1].content == "Look at the cat.\nlook(at)"
    assert {request.temperature for _, request in model.asked} == {0.0}


async def test_a_tool_that_needs_nothing_is_given_what_it_may_have():
    model = Model('"wait"', "{}")
    await model.answers(SYSTEM, USER)
    schema = model.asked[1][1].response_schema.schema
    assert (schema["type"], list(schema["properties"]), schema["required"]) == ("object", ["seconds"], [])


async def test_where_no_tool_fits_the_model_talks_as_if_there_were_none():
    model = Model('"answer"', "Good morning.")
    delta, completion = await model.answers(SYSTEM, USER, temperature=0.7)
    assert (delta.text, completion.text, completion.tool_calls) == ("Good morning.", "Good morning.", ())
    assert completion.usage == Usage(prompt_tokens=20, completion_tokens=4)
    way, request = model.asked[1]
    assert (way, request.messages, request.tools, request.temperature) == ("freely", (SYSTEM, USER), (), 0.7)


async def test_after_a_result_the_model_tells_it_and_calls_nothing():
    model = Model('{"reply": "The cat sleeps."}')
    *deltas, completion = await model.answers(SYSTEM, USER, CALLED, RESULT)
    assert "".join(delta.text for delta in deltas) == completion.text == "The cat sleeps."
    ((way, request),) = model.asked
    assert way == "exactly"
    assert list(request.response_schema.schema["properties"]) == ["reply"]
    assert request.messages[0].content.startswith("Be brief.")
    assert request.messages[-1] == ChatMessage(Role.USER, "The tool answered: It sleeps.")
    assert not any(message.tool_calls for message in request.messages)


async def test_the_reply_from_a_result_may_have_a_schema():
    model = Model('{"reply": {"asleep": true}}')
    wanted = {"type": "object", "properties": {"asleep": {"type": "boolean"}}}
    *_, completion = await model.answers(SYSTEM, USER, CALLED, RESULT, response_schema=ResponseSchema(schema=wanted))
    assert json.loads(completion.text) == {"asleep": True}
    assert model.asked[0][1].response_schema.schema["properties"] == {"reply": wanted}


async def test_a_model_that_must_call_is_offered_nothing_else():
    model = Model('"wait"', "{}")
    (completion,) = await model.answers(SYSTEM, USER, CALLED, RESULT, tool_choice=ToolChoice.REQUIRED)
    assert completion.tool_calls[0].name == "wait"
    assert choices(model.asked[0][1]) == ["look", "wait"]


async def test_the_one_tool_that_must_be_called_is_not_asked_for():
    model = Model('{"at": "cat"}')
    (completion,) = await model.answers(USER, tools=(LOOK,), tool_choice=ToolChoice.REQUIRED)
    assert (completion.tool_calls[0].name, model.ways) == ("look", ["ask"])
    assert completion.usage == COST


async def test_a_tool_may_be_called_answer():
    tool = ToolSpec(name="answer", description="The answer.", parameters={})
    model = Model('"answer"', "{}")
    (completion,) = await model.answers(USER, tools=(tool,))
    assert completion.tool_calls[0].name == "answer"
    assert choices(model.asked[0][1]) == ["answer", "answer_"]


@pytest.mark.parametrize(("written", "calls"), [('{"at": "ca', ("look",)), ("", ())])
async def test_arguments_that_are_cut_off_are_told_so(written, calls):
    model = Model('"look"', written, finish=FinishReason.LENGTH)
    (completion,) = await model.answers(USER)
    assert tuple(call.name for call in completion.tool_calls) == calls
    assert completion.finish_reason is FinishReason.LENGTH


async def test_all_steps_together_have_the_time_of_the_request():
    model = Model('"look"', '{"at": "cat"}')
    await model.answers(USER, timeout=60.0)
    first, second = (request.timeout for _, request in model.asked)
    assert first == 60.0
    assert 0 < second <= 60.0


async def test_a_stream_without_a_known_cost_adds_none():
    model = Model('"answer"', "Yes.")

    async def unmetered(request: CompletionRequest) -> Completion:
        return Completion(text='"answer"', model="m")

    request = CompletionRequest(messages=(USER,), tools=(LOOK,))
    model._answers = ["Yes."]
    pieces = [piece async for piece in stepwise(request, ask=unmetered, exactly=model.exactly, freely=model.freely)]
    assert pieces[-1].usage == COST
