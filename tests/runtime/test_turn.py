"""The turn loop."""

import asyncio

import msgspec
import pytest

from caxton.domain.agent import LlmOptions
from caxton.domain.completion import ChatMessage, Completion, Delta, Role
from caxton.domain.errors import Code, ProviderError
from caxton.domain.message import Durability, Performative
from caxton.domain.turn import TextDelta, TurnEnded, TurnStarted


async def test_the_reply_says_who_answered_and_how(running):
    reply = await running.ask("hello")
    assert reply.content["provider"] == "answers"
    assert reply.content["model"] == "answers"
    assert reply.content["finish_reason"] == "stop"
    assert reply.content["duration"] >= 0


async def test_the_trace_holds_what_the_model_was_sent(running):
    reply = await running.ask("hello")
    trace = running.traces.find(reply.in_reply_to)
    assert trace.prompt == (ChatMessage(Role.SYSTEM, "You help."), ChatMessage(Role.USER, "hello"))
    assert (trace.reply, trace.error, trace.agent) == ("re: hello", None, "helper")


async def test_a_template_wraps_the_text_sent_but_not_the_one_kept(running):
    loaded = running.a_definition(
        user_prompt_template="[{{timestamp}}] {{tone}}: {{request}}{{context}}", parameters={"tone": "kindly"}
    )
    await running.supervisor.apply(loaded)
    await running.ask("hello")
    sent = running.model.requests[-1].messages[-1].content
    assert sent.endswith("] kindly: hello")
    assert sent.startswith("[20") or sent.startswith("[19")
    await running.ask("again")
    assert running.model.requests[-1].messages[1].content == "hello"


async def test_the_options_of_the_agent_reach_the_provider(running):
    loaded = running.a_definition()
    options = msgspec.structs.replace(loaded.definition.llm, model="big", temperature=0.5, max_tokens=7, stop=("X",))
    await running.supervisor.apply(
        msgspec.structs.replace(loaded, definition=msgspec.structs.replace(loaded.definition, llm=options))
    )
    await running.ask("hello")
    asked = running.model.requests[-1]
    assert (asked.model, asked.temperature, asked.max_tokens, asked.stop) == ("big", 0.5, 7, ("X",))


async def test_whoever_follows_gets_the_pieces_and_then_the_whole(running):
    running.model.answer = lambda request: "one two three"
    request = running.request("count")
    async with asyncio.timeout(5), running.bus.follow(request.id) as events:
        await running.bus.send(request)
        seen = [event async for event in events]
    assert isinstance(seen[0], TurnStarted)
    assert [event.text for event in seen if isinstance(event, TextDelta)] == ["one", "two", "three"]
    assert isinstance(seen[-1], TurnEnded)
    assert seen[-1].reply.text == "one two three"
    assert running.traces.find(request.id).first_token is not None


async def test_nobody_following_means_no_streaming(running):
    class NoStream(type(running.model)):
        def stream(self, request):
            raise AssertionError("streamed for nobody")

    running.providers.provider = NoStream()
    assert (await running.ask("hello")).text == "re: hello"


async def test_a_follower_who_leaves_early_does_not_disturb_the_turn(running):
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return "done"

    running.model.answer = slow
    request = running.request("hello")
    async with running.bus.follow(request.id) as events:
        await running.bus.send(request)
        await anext(events)
    assert not running.bus.followed(request.id)
    gate.set()
    async with asyncio.timeout(5):
        while running.messages.reply_to(request.id) is None:
            await asyncio.sleep(0)
    assert running.messages.reply_to(request.id).text == "done"


async def test_a_providers_error_becomes_a_failure_and_is_not_part_of_the_talk(running, caplog):
    def refuse(request):
        raise ProviderError(Code.PROVIDER_RATE_LIMITED, "slow down", retry_after=3.0)

    running.model.answer = refuse
    reply = await running.ask("too fast")
    assert reply.performative is Performative.FAILURE
    assert reply.content["error"]["code"] == Code.PROVIDER_RATE_LIMITED
    running.model.answer = lambda request: "ok"
    await running.ask("again")
    assert [message.content for message in running.model.requests[-1].messages] == ["You help.", "again"]
    assert running.traces.find(reply.in_reply_to).error.code is Code.PROVIDER_RATE_LIMITED
    assert (
        f"agent helper failed to answer message {reply.in_reply_to}: slow down [provider_rate_limited]" in caplog.text
    )


async def test_a_talk_the_caller_brings_replaces_the_stored_one_and_is_not_stored(running):
    await running.ask("stored")
    request = running.request("now", durability=Durability.MEMORY)
    history = msgspec.to_builtins((ChatMessage(Role.USER, "mine"), ChatMessage(Role.ASSISTANT, "yours")))
    request = msgspec.structs.replace(request, content={"text": "now", "history": history})
    reply = await running.bus.ask(request)
    assert reply.text == "re: now"
    assert [m.content for m in running.model.requests[-1].messages] == ["You help.", "mine", "yours", "now"]
    assert running.messages.find(request.id) is None


async def test_a_stream_that_ends_without_a_completion_is_malformed(running):
    class Torn(type(running.model)):
        async def stream(self, request):
            return
            yield Completion(text="", model="")

    running.providers.made["answers"] = Torn()
    request = running.request("hello", awaited=True)
    async with asyncio.timeout(5), running.bus.follow(request.id) as events:
        await running.bus.send(request)
        *_, last = [event async for event in events]
    assert last.reply.content["error"]["code"] == Code.PROVIDER_MALFORMED


@pytest.mark.parametrize("kept", [1, 3])
def test_only_the_newest_traces_are_kept(kept):
    from caxton.domain.turn import TurnTrace
    from caxton.runtime.traces import Traces

    traces = Traces(limit=kept)
    for number in range(5):
        traces.keep(
            TurnTrace(
                request=str(number),
                agent="a",
                agent_version="1",
                conversation_id="c",
                provider="p",
                model="m",
                started_at=0,
                prompt=(),
                prompt_tokens=0,
            )
        )
    assert [number for number in range(5) if traces.find(str(number))] == list(range(5))[-kept:]


CHAIN = ("answers", "spare")


def failing(code: Code):
    def answer(request):
        raise ProviderError(code, "Not today.")

    return answer


async def test_the_next_provider_answers_when_the_first_fails(running):
    await running.supervisor.apply(running.a_definition(llm_providers=CHAIN))
    running.model.answer = failing(Code.PROVIDER_AUTHENTICATION)
    reply = await running.ask("hello")
    assert (reply.text, reply.content["provider"]) == ("re: hello", "spare")
    assert [one["provider"] for one in reply.content["fallbacks"]] == ["answers"]
    trace = running.traces.find(reply.in_reply_to)
    assert (trace.provider, trace.fallbacks[0].error.code) == ("spare", Code.PROVIDER_AUTHENTICATION)


async def test_the_model_of_the_agent_is_the_first_provider_s_alone(running):
    loaded = running.a_definition(llm_providers=CHAIN, llm=LlmOptions(model="big", temperature=0.5))
    await running.supervisor.apply(loaded)
    running.model.answer = failing(Code.PROVIDER_QUOTA)
    await running.ask("hello")
    [asked] = running.providers.made["spare"].requests
    assert (asked.model, asked.temperature) == (None, 0.5)


async def test_where_all_fail_the_last_error_names_the_others(running):
    await running.supervisor.apply(running.a_definition(llm_providers=CHAIN))
    running.model.answer = failing(Code.PROVIDER_QUOTA)
    running.providers.made["spare"].answer = failing(Code.PROVIDER_AUTHENTICATION)
    error = (await running.ask("hello")).content["error"]
    assert error["code"] == Code.PROVIDER_AUTHENTICATION
    assert "answers (provider_quota)" in error["why"]


async def test_what_one_provider_refuses_is_not_shown_to_the_next(running):
    await running.supervisor.apply(running.a_definition(llm_providers=CHAIN))
    running.model.answer = failing(Code.PROVIDER_REFUSED)
    assert (await running.ask("hello")).content["error"]["code"] == Code.PROVIDER_REFUSED
    assert running.providers.made["spare"].requests == []


async def test_an_answer_that_began_is_not_begun_anew_by_another_provider(running):
    await running.supervisor.apply(running.a_definition(llm_providers=CHAIN))

    async def stream(request):
        yield Delta("once")
        raise ProviderError(Code.PROVIDER_UNAVAILABLE, "Gone.")

    running.model.stream = stream
    request = running.request("hello", awaited=True)
    async with asyncio.timeout(5), running.bus.follow(request.id) as events:
        await running.bus.send(request)
        seen = [event async for event in events]
    assert [event.text for event in seen if isinstance(event, TextDelta)] == ["once"]
    assert seen[-1].reply.content["error"]["code"] == Code.PROVIDER_UNAVAILABLE


async def test_an_answer_held_to_a_schema_comes_as_data_too(running):
    schema = {"type": "object"}
    await running.supervisor.apply(running.a_definition(llm=LlmOptions(response_schema=schema)))
    running.model.answer = lambda request: '{"a": [1]}'
    assert (await running.ask("hello")).content["data"] == {"a": [1]}
    assert running.model.requests[-1].response_schema.schema == schema


async def test_an_answer_that_was_to_be_json_and_is_not_is_an_error(running):
    await running.supervisor.apply(running.a_definition(llm=LlmOptions(response_schema={"type": "object"})))
    running.model.answer = lambda request: "Sure! Here it is."
    assert (await running.ask("hello")).content["error"]["code"] == Code.PROVIDER_MALFORMED


async def test_pictures_are_shown_with_their_text_and_not_again(running):
    request = running.request("look")
    request.content["images"] = ["data:image/png;base64,cG5n"]
    async with asyncio.timeout(5):
        await running.bus.ask(request)
    [image] = running.model.requests[-1].messages[-1].images
    assert (image.media_type, image.data) == ("image/png", b"png")
    await running.ask("and now?")
    assert not any(message.images for message in running.model.requests[-1].messages)
