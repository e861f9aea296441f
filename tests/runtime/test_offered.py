"""What is asked of an agent by one of its capabilities."""

import pytest
from support.messages import a_request

from caxton.domain.agent import AgentDefinition, LlmOptions
from caxton.domain.capability import CapabilityDetails
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Performative
from caxton.runtime.offered import held_to, misfit, offer_asked_for, wording

TITLE = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
ROWS = {"type": "object", "required": ["rows"]}
PAINTER = AgentDefinition(
    name="painter",
    system_prompt="You draw.",
    capabilities=("charts:v1", "charts:v2", "maps"),
    capability_details={"charts:v2": CapabilityDetails(output=TITLE)},
)


@pytest.mark.parametrize(
    ("addressed", "asked"),
    [
        ("capability:charts:v2", "charts:v2"),
        ("capability:charts:v02", "charts:v2"),
        ("capability:charts:v1", "charts:v1"),
        ("capability:charts", "charts:v2"),
        ("capability:maps", "maps"),
        ("capability:films", None),
        ("group:charts", None),
        ("all", None),
        (None, None),
    ],
)
def test_the_capability_is_the_one_that_the_request_is_addressed_to(addressed, asked):
    offer = offer_asked_for(PAINTER, a_request(addressed=addressed))
    assert (str(offer.name) if offer else None) == asked


def test_what_is_not_answered_asks_for_no_capability():
    sent = a_request(addressed="capability:charts", performative=Performative.INFORM)
    assert offer_asked_for(PAINTER, sent) is None


def test_the_answer_has_to_fit_the_output_schema_where_there_is_one():
    asked = offer_asked_for(PAINTER, a_request(addressed="capability:charts:v2"))
    assert held_to(PAINTER, asked).llm.response_schema == TITLE
    assert misfit(asked, {"data": {"title": "Rain"}}) is None
    assert str(misfit(asked, {"data": {}})) == '$: "title" is a required property'
    assert str(misfit(asked, {"text": "none"})) == '$: null is not of type "object"'
    for free in (None, offer_asked_for(PAINTER, a_request(addressed="capability:maps"))):
        assert held_to(PAINTER, free) is PAINTER


def test_a_schema_of_the_agents_own_goes_first():
    own = AgentDefinition(
        name="painter",
        system_prompt="You draw.",
        llm=LlmOptions(response_schema={}),
        capabilities=PAINTER.capabilities,
        capability_details=PAINTER.capability_details,
    )
    assert held_to(own, offer_asked_for(own, a_request(addressed="capability:charts:v2"))) is own


@pytest.mark.parametrize(
    ("content", "worded"),
    [
        ({"text": "Draw."}, "Draw."),
        ({"text": "Draw.", "images": ["data:"], "history": []}, "Draw."),
        ({"text": "Draw.", "rows": [1, 2]}, 'Draw.\n\n{"rows":[1,2]}'),
        ({"rows": [1, 2], "images": []}, '{"rows":[1,2]}'),
        ({}, ""),
    ],
)
def test_the_model_reads_all_that_it_is_asked(content, worded):
    assert wording(a_request(content=content)) == worded


def test_of_what_another_agent_answered_the_model_reads_the_text():
    answered = {"performative": Performative.INFORM, "content": {"text": "Sunny.", "model": "small"}}
    assert wording(a_request(**answered)) == "Sunny."
    failed = {"performative": Performative.FAILURE, "content": {"error": {"code": "internal"}}}
    assert wording(a_request(**failed)) == '{"error":{"code":"internal"}}'


class TestTurns:
    """Requests to capabilities, answered by an agent that runs."""

    @pytest.fixture
    async def painter(self, running):
        loaded = running.a_definition(
            "painter",
            capabilities=PAINTER.capabilities,
            capability_details={"charts:v2": CapabilityDetails(input=ROWS, output=TITLE)},
        )
        await running.supervisor.apply(loaded)
        return running

    async def test_the_answer_comes_as_data_in_the_schema_of_what_was_asked_for(self, painter):
        painter.model.answer = lambda request: '{"title": "Rain"}'
        request = a_request("Draw.", receiver="capability:charts", content={"text": "Draw.", "rows": [1]})
        reply = await painter.bus.ask(request)
        assert (reply.sender, reply.content["data"]) == ("painter", {"title": "Rain"})
        asked = painter.model.requests[-1]
        assert asked.response_schema.schema == TITLE
        assert asked.messages[-1].content == 'Draw.\n\n{"rows":[1]}'

    async def test_an_answer_that_does_not_fit_is_a_failure_that_says_why(self, painter):
        painter.model.answer = lambda request: '{"name": "Rain"}'
        reply = await painter.bus.ask(a_request(receiver="capability:charts", content={"rows": [1]}))
        assert reply.performative is Performative.FAILURE
        assert reply.content["error"]["code"] == Code.PROVIDER_MALFORMED
        assert reply.content["error"]["why"] == '$: "title" is a required property.'

    async def test_asked_by_its_name_the_agent_answers_as_it_likes(self, painter):
        reply = await painter.ask("Draw.", to="painter")
        assert (reply.text, "data" in reply.content) == ("re: Draw.", False)

    async def test_what_does_not_fit_the_input_schema_is_not_accepted(self, painter):
        with pytest.raises(CaxtonError, match='"rows" is a required property') as refusal:
            await painter.ask("Draw.", to="capability:charts")
        assert refusal.value.code is Code.CONTENT_MISMATCH

    async def test_what_an_agent_can_do_changes_with_its_file(self, painter):
        await painter.supervisor.apply(painter.a_definition("painter", capabilities=("films",)))
        assert (await painter.ask("Draw.", to="capability:films")).text == "re: Draw."
        with pytest.raises(CaxtonError, match="No agent can do 'charts'"):
            await painter.ask("Draw.", to="capability:charts")
