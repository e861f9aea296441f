"""The scripted provider says what it is told to, in the shapes of a real one."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.completions import asks, failure, pieces_of

from caxton.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from caxton.domain.errors import CaxtonError, Code, ProviderError
from caxton.domain.settings import ProviderSettings
from caxton.testing.scripted import ScriptedProvider


@pytest.fixture
def scripted(tmp_path: Path):
    """Makes a provider that follows a script of this text."""

    def make(text: str) -> ScriptedProvider:
        script = tmp_path / "script.toml"
        script.write_text(text, encoding="utf-8")
        return ScriptedProvider(ProviderSettings(name="s", kind="scripted", script=script), environ={}, data_dir=Path())

    return make


async def test_without_a_script_it_echoes():
    completion = await ScriptedProvider().complete(asks("Hello you"))
    assert completion == Completion(text="echo: Hello you", model="scripted", usage=completion.usage)
    assert completion.usage.prompt_tokens == 5
    assert completion.usage.completion_tokens == 3


async def test_answers_are_given_in_turn_and_the_last_for_ever():
    provider = ScriptedProvider.saying("one", lambda request: request.messages[-1].content.upper(), "three")
    said = [(await provider.complete(asks("two"))).text for _ in range(4)]
    assert said == ["one", "TWO", "three", "three"]
    assert [request.messages[-1].content for request in provider.requests] == ["two"] * 4


async def test_an_error_among_the_answers_is_raised_whole_and_streamed():
    error = ProviderError(Code.PROVIDER_QUOTA, "Nothing is left.")
    provider = ScriptedProvider.saying(error)
    assert await failure(provider.complete(asks())) is error
    assert await failure(pieces_of(provider, asks())) is error


@given(st.text())
async def test_the_pieces_of_a_stream_make_up_the_text(text):
    *deltas, completion = await pieces_of(ScriptedProvider.saying(text), asks())
    assert "".join(delta.text for delta in deltas) == text == completion.text
    assert all(delta.text for delta in deltas)


async def test_the_first_rule_that_matches_holds(scripted):
    provider = scripted("""
        [[rules]]
        match = "^bus"
        error = "provider_rate_limited"

        [[rules]]
        match = "crash"
        crash = true

        [[rules]]
        match = "wait"
        delay = 3600

        [[rules]]
        match = "b"
        reply = '{"json": {last}, "system": "{system}", "count": {count}, "{other}"}'
    """)
    assert (await failure(provider.complete(asks("busy")))).code is Code.PROVIDER_RATE_LIMITED
    with pytest.raises(RuntimeError, match="crash"):
        await provider.complete(asks("a crash"))
    assert (await failure(provider.complete(asks("wait", timeout=0.01)))).code is Code.PROVIDER_TIMEOUT
    said = (await provider.complete(asks("b{count}"))).text
    assert said == '{"json": b{count}, "system": "You are brief.", "count": 2, "{other}"}'
    assert (await provider.complete(asks("none"))).text == "echo: none"


async def test_a_rule_may_call_a_tool_and_another_tell_its_result(scripted):
    provider = scripted(r"""
        [[rules]]
        match = 'read (\S+) (\d)'
        call = "files__{2}"
        arguments = {path = "{1}", deep = [{at = "{1}"}, 5], other = "{3}"}

        [[rules]]
        match = "read"
        reply = "it says: {last}"
    """)
    said = ChatMessage(Role.USER, "please read a.txt 1")
    completion = await provider.complete(CompletionRequest(messages=(said,)))
    (call,) = completion.tool_calls
    assert (call.name, json.loads(call.arguments)) == (
        "files__1",
        {"path": "a.txt", "deep": [{"at": "a.txt"}, 5], "other": "{3}"},
    )
    assert (completion.text, completion.finish_reason) == ("", FinishReason.TOOL_CALLS)
    called = ChatMessage(Role.ASSISTANT, "", tool_calls=completion.tool_calls)
    for written, told in ("<tool_result>\nread b.txt 2\n</tool_result>", "read b.txt 2"), ("read c", "read c"):
        result = ChatMessage(Role.TOOL, written, tool_call_id=call.id)
        completion = await provider.complete(CompletionRequest(messages=(said, called, result)))
        assert (completion.text, completion.tool_calls) == (f"it says: {told}", ())


async def test_without_a_system_prompt_its_place_is_empty(scripted):
    provider = scripted('[[rules]]\nreply = "<{system}>"\n')
    request = CompletionRequest(messages=(ChatMessage(Role.USER, "x"),))
    assert (await provider.complete(request)).text == "<>"


@pytest.mark.parametrize(
    "text",
    [
        "[[rules",
        "rules = 1",
        "[[rules]]\nmach = 'x'",
        "[[rules]]\nmatch = '('",
        "[[rules]]\nerror = 'no_such_code'",
        "[[rules]]\ndelay = 'long'",
    ],
)
def test_a_script_that_is_none_is_told_with_its_place(scripted, tmp_path, text):
    with pytest.raises(CaxtonError) as raised:
        scripted(text)
    assert raised.value.code is Code.CONFIGURATION_INVALID
    assert str(tmp_path / "script.toml") in raised.value.message
    assert raised.value.why
    assert "[[rules]]" in raised.value.hint


def test_a_script_that_is_not_there_is_told_with_its_place(tmp_path):
    settings = ProviderSettings(name="s", kind="scripted", script=tmp_path / "absent.toml")
    with pytest.raises(CaxtonError, match=r"absent\.toml"):
        ScriptedProvider(settings)
