import asyncio
from contextlib import aclosing

import pytest
from support.house import DEADLINE

from caxton.domain.completion import ChatMessage, Role
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import MessageState
from caxton.runtime.actor import MAX_ATTEMPTS
from caxton.service.api.messages import Reply, ReplyDelta, ReplyStarted, SendMessage
from caxton.service.messages import LONGEST_NAME


async def told(awaitable):
    with pytest.raises(CaxtonError) as caught:
        await awaitable
    return caught.value


def sent(house, reply):
    """The texts that the model was sent for this reply, without the system prompt."""
    return [message.content for message in house.traces.find(reply.in_reply_to).prompt[1:]]


async def stream(house, text, **fields):
    async with asyncio.timeout(DEADLINE):
        return [event async for event in house.messages.stream(name="helper", body=SendMessage(text=text, **fields))]


class TestSend:
    async def test_the_reply_says_all_about_itself(self, running):
        reply = await running.ask("Hello")
        assert (reply.text, reply.agent, reply.conversation_id) == ("echo: Hello", "helper", "user:helper")
        assert (reply.provider, reply.model, reply.finish_reason) == ("echo", "scripted", "stop")
        assert reply.usage.completion_tokens == 2
        assert reply.created_at == running.clock.now()

    async def test_a_conversation_goes_on_and_each_sender_has_one(self, running):
        await running.ask("One")
        assert sent(running, await running.ask("Two")) == ["One", "echo: One", "Two"]
        assert sent(running, await running.ask("Mine", sender="ada")) == ["Mine"]

    async def test_another_conversation_begins_by_name_or_as_new(self, running):
        await running.ask("One")
        named = await running.ask("Two", conversation_id="elsewhere")
        assert (named.conversation_id, sent(running, named)) == ("elsewhere", ["Two"])
        new, newer = await running.ask("Three", conversation_id="new"), await running.ask("Four", conversation_id="new")
        assert sent(running, newer) == ["Four"]
        assert new.conversation_id != newer.conversation_id

    async def test_a_talk_brought_along_is_used_and_not_kept(self, running):
        await running.ask("Stored")
        history = (ChatMessage(Role.USER, "Brought"), ChatMessage(Role.ASSISTANT, "Along"))
        reply = await running.ask("And?", history=history)
        assert sent(running, reply) == ["Brought", "Along", "And?"]
        assert (await told(running.messages.show(id=reply.in_reply_to))).code is Code.MESSAGE_NOT_FOUND
        assert sent(running, await running.ask("Next")) == ["Stored", "echo: Stored", "Next"]

    @pytest.mark.parametrize("text", ["", " \n\t"])
    async def test_an_empty_text_is_refused(self, running, text):
        assert (await told(running.ask(text))).code is Code.BODY_INVALID

    @pytest.mark.parametrize("field", ["sender", "conversation_id", "idempotency_key"])
    @pytest.mark.parametrize("value", ["x" * (LONGEST_NAME + 1), "two\nlines", "bell\x07", "half\ud800"])
    async def test_a_name_that_is_too_long_or_unprintable_is_refused(self, running, field, value):
        error = await told(running.ask("Hello", **{field: value}))
        assert error.code is Code.BODY_INVALID
        assert field in error.message

    async def test_an_unknown_agent_is_answered_with_the_nearest(self, running):
        error = await told(running.ask("Hello", to="helpre"))
        assert error.code is Code.AGENT_NOT_FOUND
        assert "'helper'" in error.hint

    async def test_a_turn_that_takes_too_long_is_a_timeout(self, running):
        await running.definitions.follow(running.file(more='[resources]\nmax_execution_time = "10ms"\n'))
        error = await told(running.ask("hold on"))
        assert error.code is Code.TURN_TIMEOUT
        assert "0.01 s" in error.message
        assert (await running.ask("quick")).text == "echo: quick"

    async def test_a_caller_who_hangs_up_leaves_the_turn_to_end_and_be_kept(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        asking.cancel()
        await asyncio.wait([asking])
        running.model.let_go.set()
        assert sent(running, await running.ask("Next")) == ["hold on", "echo: hold on", "Next"]

    async def test_a_caller_who_hangs_up_while_the_message_is_stored_is_answered_all_the_same(self, running):
        storing, go_on = asyncio.Event(), asyncio.Event()
        append = running.message_store.append

        async def slow(message):
            stored = await append(message)
            storing.set()
            await go_on.wait()
            return stored

        running.message_store.append = slow
        asking = asyncio.create_task(running.ask("Hello"))
        await storing.wait()
        asking.cancel()
        await asyncio.wait([asking])
        go_on.set()
        assert sent(running, await running.ask("Next")) == ["Hello", "echo: Hello", "Next"]
        assert await running.message_store.waiting("helper") == 0

    async def test_an_agent_stopped_while_the_message_is_stored_says_so_and_answers_later(self, running):
        storing, go_on = asyncio.Event(), asyncio.Event()
        append = running.message_store.append

        async def slow(message):
            stored = await append(message)
            storing.set()
            await go_on.wait()
            return stored

        running.message_store.append = slow
        asking = asyncio.create_task(running.ask("Hello"))
        await storing.wait()
        await running.agents.stop(name="helper")
        go_on.set()
        assert (await told(asking)).code is Code.AGENT_NOT_RUNNING
        running.message_store.append = append
        await running.agents.start(name="helper")
        assert sent(running, await running.ask("Next")) == ["Hello", "echo: Hello", "Next"]


class TestStream:
    async def test_it_begins_comes_in_pieces_and_ends_whole(self, running):
        started, *deltas, reply = await stream(running, "Hello there")
        assert isinstance(started, ReplyStarted)
        assert isinstance(reply, Reply)
        assert started.in_reply_to == reply.in_reply_to
        assert all(isinstance(delta, ReplyDelta) for delta in deltas)
        assert len(deltas) == 3
        assert "".join(delta.text for delta in deltas) == reply.text == "echo: Hello there"

    async def test_what_is_refused_is_refused_before_it_begins(self, running):
        stream = running.messages.stream(name="nobody", body=SendMessage(text="Hello"))
        assert (await told(anext(stream))).code is Code.AGENT_NOT_FOUND

    async def test_a_turn_that_fails_ends_it_with_the_error(self, running):
        events = running.messages.stream(name="helper", body=SendMessage(text="crash"))
        assert isinstance(await anext(events), ReplyStarted)
        assert (await told(anext(events))).code is Code.TURN_CRASHED

    async def test_a_server_that_stops_ends_it_with_the_reason(self, house):
        house.file()
        async with house.opened():
            stream = house.messages.stream(name="helper", body=SendMessage(text="hold on"))
            assert isinstance(await anext(stream), ReplyStarted)
        assert (await told(anext(stream))).code is Code.SERVER_STOPPING
        house.model.let_go.set()
        async with house.opened():
            assert sent(house, await house.ask("Next")) == ["hold on", "echo: hold on", "Next"]

    async def test_a_reader_who_hangs_up_leaves_the_turn_to_end_and_be_kept(self, running):
        async with aclosing(running.messages.stream(name="helper", body=SendMessage(text="hold on"))) as events:
            await anext(events)
        running.model.let_go.set()
        assert sent(running, await running.ask("Next")) == ["hold on", "echo: hold on", "Next"]

    async def test_many_at_once_each_hear_their_own(self, running):
        streams = await asyncio.gather(
            *(stream(running, f"text {number}", conversation_id=f"talk {number}") for number in range(50))
        )
        assert [events[-1].text for events in streams] == [f"echo: text {number}" for number in range(50)]


class TestIdempotencyKey:
    async def test_a_message_sent_again_has_the_first_reply_and_no_second_turn(self, running):
        first = await running.ask("Hello", idempotency_key="k")
        assert await running.ask("Hello", idempotency_key="k") == first
        assert sent(running, await running.ask("Next")) == ["Hello", "echo: Hello", "Next"]

    async def test_two_at_once_share_one_turn(self, running):
        asking = [asyncio.create_task(running.ask("hold on", idempotency_key="k")) for _ in range(2)]
        await running.model.held.wait()
        running.model.let_go.set()
        first, second = await asyncio.gather(*asking)
        assert first == second
        assert (await running.agents.show(name="helper")).activity.turns == 1

    async def test_a_stream_of_one_sent_again_has_the_reply_in_one_piece(self, running):
        first = await running.ask("Hello there", idempotency_key="k")
        started, delta, reply = await stream(running, "Hello there", idempotency_key="k")
        assert (started.in_reply_to, delta.text, reply) == (first.in_reply_to, "echo: Hello there", first)

    async def test_the_key_is_known_to_the_next_server(self, house):
        house.file()
        async with house.opened():
            first = await house.ask("Hello", idempotency_key="k")
            asking = asyncio.create_task(house.ask("hold on", idempotency_key="other"))
            await house.model.held.wait()
        assert (await told(asking)).code is Code.SERVER_STOPPING
        house.model.let_go.set()
        async with house.opened():
            assert await house.ask("Hello", idempotency_key="k") == first
            assert (await house.ask("hold on", idempotency_key="other")).text == "echo: hold on"
            assert len((await house.messages.list(name="helper")).messages) == 4

    async def test_each_sender_has_keys_of_its_own(self, running):
        first = await running.ask("Hello", idempotency_key="k")
        assert (await running.ask("Hello", idempotency_key="k", sender="ada")).id != first.id

    async def test_the_error_of_the_first_is_told_again(self, running):
        for _ in range(2):
            assert (await told(running.ask("crash", idempotency_key="k"))).code is Code.TURN_CRASHED
        assert (await running.agents.show(name="helper")).activity.turns == 1

    @pytest.mark.parametrize("fields", [{"idempotency_key": ""}, {"idempotency_key": "k", "history": ()}])
    async def test_a_key_that_could_not_hold_is_refused(self, running, fields):
        error = await told(running.ask("Hello", **fields))
        assert error.code is Code.BODY_INVALID
        assert "idempotency_key" in error.message


class TestDelivery:
    """At least once; what is delivered again is answered once."""

    async def accepted(self, house, text="Hello"):
        """A message that a server took and did not live to answer."""
        house.file()
        async with house.opened():
            asking = asyncio.create_task(house.ask("hold on"))
            await house.model.held.wait()
        assert (await told(asking)).code is Code.SERVER_STOPPING
        house.model.let_go.set()

    async def test_an_accepted_message_is_answered_once_by_the_next_server(self, house):
        await self.accepted(house)
        for _ in range(2):
            async with house.opened():
                await house.ask("Next")
        talk = await house.message_store.messages(agent="helper", conversation_id=None, limit=100)
        assert [one.message.text for one in talk].count("echo: hold on") == 1

    async def test_one_that_no_server_lives_to_answer_is_given_up(self, house):
        await self.accepted(house)
        (message,) = await house.message_store.claim("helper", after=0, limit=9)
        for _ in range(MAX_ATTEMPTS):
            await house.message_store.begin(message.message.id)
        async with house.opened():
            await house.ask("Next")
            view = await house.messages.show(id=message.message.id)
            assert view.state == MessageState.DEAD
            (failure,) = [
                one for one in (await house.messages.list(name="helper")).messages if one.performative == "failure"
            ]
            assert failure.content["error"]["code"] == "delivery_exhausted"


class TestReading:
    async def test_messages_come_newest_first_in_pages(self, running):
        for number in range(3):
            await running.ask(f"text {number}")
        first = await running.messages.list(name="helper", limit=4)
        second = await running.messages.list(name="helper", limit=4, before=first.next)
        texts = [message.text for message in [*first.messages, *second.messages]]
        assert texts == ["echo: text 2", "text 2", "echo: text 1", "text 1", "echo: text 0", "text 0"]
        assert second.next is None

    async def test_of_one_conversation_where_asked(self, running):
        await running.ask("Here")
        await running.ask("There", conversation_id="elsewhere")
        listed = await running.messages.list(name="helper", conversation_id="elsewhere")
        assert [message.text for message in listed.messages] == ["echo: There", "There"]

    async def test_a_message_is_shown_with_how_it_stands(self, running):
        reply = await running.ask("Hello")
        view = await running.messages.show(id=reply.in_reply_to)
        assert (view.text, view.state, view.sender, view.receiver) == ("Hello", "settled", "user", "helper")
        answer = await running.messages.show(id=reply.id)
        assert (answer.in_reply_to, answer.content["model"]) == (view.id, "scripted")

    async def test_a_failure_is_kept_with_its_error_and_is_not_part_of_the_talk(self, running):
        await told(running.ask("crash"))
        await running.agents.start(name="helper")
        failure, request = (await running.messages.list(name="helper")).messages
        assert (request.state, failure.content["error"]["code"]) == ("failed", "turn_crashed")
        assert sent(running, await running.ask("Next")) == ["Next"]

    async def test_the_trace_tells_how_the_turn_went(self, running):
        reply = await running.ask("Hello")
        trace = await running.messages.trace(id=reply.in_reply_to)
        assert (trace.agent, trace.provider, trace.reply) == ("helper", "echo", "echo: Hello")

    async def test_what_is_not_there_is_told(self, running):
        for reading in (running.messages.show, running.messages.trace):
            assert (await told(reading(id="nothing"))).code is Code.MESSAGE_NOT_FOUND
        assert (await told(running.messages.list(name="nobody"))).code is Code.AGENT_NOT_FOUND
