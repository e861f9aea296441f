"""What is asked reaches the wire as the protocol has it."""

import json
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.completion import (
    ChatMessage,
    CompletionRequest,
    Image,
    ResponseSchema,
    Role,
    ToolCall,
    ToolChoice,
    ToolSpec,
)
from caxton.domain.settings import ProviderSettings
from caxton.providers.openai_request import data_url, defaults_of, messages_of, options_of

TOOL = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {}})


def asked(defaults=None, **fields):
    request = CompletionRequest(messages=(ChatMessage(Role.USER, "hi"),), **fields)
    return options_of(request, defaults=defaults or {}, max_tokens="max_tokens")


def test_nothing_is_said_of_what_was_not_chosen():
    assert asked() == {}


def test_options_go_by_the_names_of_the_protocol():
    assert asked(temperature=0.0, top_p=0.5, seed=0, stop=("a", "b")) == {
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 0,
        "stop": ["a", "b"],
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_goes_by_the_name_that_the_endpoint_has_for_it(name):
    messages = (ChatMessage(Role.USER, "hi"),)
    request = CompletionRequest(messages=messages, max_tokens=9)
    assert options_of(request, defaults={}, max_tokens=name) == {name: 9}
    unlimited = CompletionRequest(messages=messages)
    assert options_of(unlimited, defaults={"max_tokens": 5}, max_tokens=name) == {name: 5}


def test_a_choice_of_the_request_goes_before_the_default():
    assert asked({"temperature": 1.0, "top_p": 0.1}, temperature=0.0) == {"temperature": 0.0, "top_p": 0.1}


def test_the_defaults_stay_what_they_were():
    defaults = {"max_tokens": 5}
    asked(defaults)
    assert defaults == {"max_tokens": 5}


def test_settings_give_the_defaults_that_they_choose():
    assert defaults_of(ProviderSettings(name="x", kind="openai")) == {}
    chosen = ProviderSettings(name="x", kind="openai", temperature=0.0, max_tokens=7)
    assert defaults_of(chosen) == {"temperature": 0.0, "max_tokens": 7}


@pytest.mark.parametrize(
    ("choice", "told"), [(ToolChoice.AUTO, None), (ToolChoice.REQUIRED, "required"), (ToolChoice.NONE, "none")]
)
def test_tools_are_functions_and_may_have_to_be_called(choice, told):
    options = asked(tools=(TOOL,), tool_choice=choice)
    function = {"name": "look", "description": "Look.", "parameters": TOOL.parameters}
    assert options["tools"] == [{"type": "function", "function": function}]
    assert options.get("tool_choice") == told


def test_a_choice_without_tools_is_not_told():
    assert asked(tool_choice=ToolChoice.REQUIRED) == {}


def test_a_schema_is_strict_and_has_a_name():
    schema = {"type": "object"}
    assert asked(response_schema=ResponseSchema(schema=schema, name="thing"))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "thing", "schema": schema, "strict": True},
    }


def test_calls_and_results_belong_together_by_id():
    call = ToolCall(id="c1", name="look", arguments='{"at": "it"}')
    written = messages_of(
        [ChatMessage(Role.ASSISTANT, "", tool_calls=(call,)), ChatMessage(Role.TOOL, "seen", tool_call_id="c1")]
    )
    function = {"name": "look", "arguments": '{"at": "it"}'}
    assert written[0]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert written[1] == {"role": "tool", "content": "seen", "tool_call_id": "c1"}


@given(st.binary(min_size=1), st.sampled_from(["image/png", "image/jpeg"]))
def test_an_image_can_be_read_back_from_its_url(data, media_type):
    head, _, encoded = data_url(Image(media_type=media_type, data=data)).partition(",")
    assert head == f"data:{media_type};base64"
    assert b64decode(encoded, validate=True) == data


def test_images_follow_the_text():
    image = Image(media_type="image/png", data=b"x")
    (written,) = messages_of([ChatMessage(Role.USER, "What is this?", images=(image, image))])
    assert [part["type"] for part in written["content"]] == ["text", "image_url", "image_url"]
    assert written["content"][0]["text"] == "What is this?"


@given(st.text(), st.sampled_from(list(Role)))
def test_any_text_is_sent_as_it_is(text, role):
    (written,) = messages_of([ChatMessage(role, text)])
    assert json.loads(json.dumps(written)) == {"role": role.value, "content": text}
