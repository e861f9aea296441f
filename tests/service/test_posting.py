import asyncio

import pytest
from support.house import DEADLINE

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, MessageState, Performative
from caxton.domain.misunderstanding import MessageNotUnderstood
from caxton.domain.trace import trace_id_of
from caxton.service.api.posting import LONGEST_WAIT, PostMessage

PICTURE = "data:image/png;base64,AAAA"
SHORT = 0.05
"""Seconds that nobody replies within, as the model holds on."""


async def post(house, **fields):
    async with asyncio.timeout(DEADLINE):
        return await house.messages.post(body=fields)


async def told(awaitable):
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(CaxtonError) as caught:
            await awaitable
    return caught.value


async def settled(house, id):
    """The reply to a message, once it is there."""
    return await house.messages.reply(id=id, wait=DEADLINE)


def hire(house, name, *capabilities):
    listed = ", ".join(f'"{one}"' for one in capabilities)
    return house.file(name, more=f"capabilities = [{listed}]\n")


class TestPost:
    async def test_a_message_is_accepted_at_once_and_answered_later(self, running):
        posted = await post(running, receiver="helper", text="Hello")
        [accepted] = posted.accepted
        assert (accepted.receiver, accepted.conversation_id, posted.replies) == ("helper", "user:helper", [])
        reply = await settled(running, accepted.id)
        assert (reply.performative, reply.text, reply.in_reply_to) == ("inform", "echo: Hello", accepted.id)

    async def test_who_waits_has_the_reply(self, running):
        posted = await post(running, receiver="helper", text="Hello", wait=DEADLINE)
        [reply] = posted.replies
        assert (reply.text, reply.in_reply_to) == ("echo: Hello", posted.accepted[0].id)
        assert (await running.messages.show(id=reply.in_reply_to)).state is MessageState.SETTLED

    async def test_who_waits_in_vain_knows_what_to_look_for(self, running):
        posted = await post(running, receiver="helper", text="hold on", wait=SHORT)
        assert posted.replies == []
        running.model.let_go.set()
        assert (await settled(running, posted.accepted[0].id)).text == "echo: hold on"

    async def test_a_struct_says_the_same_as_its_fields(self, running):
        posted = await running.messages.post(body=PostMessage(receiver="helper", text="Hello", wait=DEADLINE))
        assert posted.replies[0].text == "echo: Hello"

    async def test_a_turn_that_fails_is_a_reply_too(self, running):
        [reply] = (await post(running, receiver="helper", text="crash", wait=DEADLINE)).replies
        assert reply.performative is Performative.FAILURE
        assert reply.content["error"]["code"] == "turn_crashed"

    async def test_what_asks_for_no_answer_is_not_waited_for(self, running):
        posted = await post(running, receiver="helper", text="hold on", performative="inform", wait=LONGEST_WAIT)
        assert posted.replies == []
        running.model.let_go.set()

    async def test_it_finds_who_can_do_it(self, house):
        house.file()
        hire(house, "artist", "charts:v2")
        async with house.opened():
            posted = await post(house, receiver="capability:charts", text="Draw", wait=DEADLINE)
            assert [one.receiver for one in posted.accepted] == ["artist"]
            view = await house.messages.show(id=posted.accepted[0].id)
            assert (view.addressed, view.receiver) == ("capability:charts", "artist")
            error = await told(post(house, receiver="capability:chart", text="Draw"))
            assert error.code is Code.CAPABILITY_NOT_FOUND

    async def test_everybody_hears_what_is_for_all_and_who_waits_hears_them(self, house):
        for name in "helper", "artist", "writer":
            house.file(name)
        async with house.opened():
            posted = await post(house, receiver="all", text="Hello", wait=DEADLINE)
            assert {one.receiver for one in posted.accepted} == {"helper", "artist", "writer"}
            assert {reply.sender for reply in posted.replies} == {"helper", "artist", "writer"}
            assert {reply.in_reply_to for reply in posted.replies} == {one.id for one in posted.accepted}

    async def test_of_several_those_are_told_who_replied_in_time(self, house):
        for name in "helper", "artist":
            house.file(name)
        async with house.opened():
            complete = house.model.complete
            first = asyncio.Event()

            async def one_at_a_time(request):
                if first.is_set():
                    await asyncio.Event().wait()
                first.set()
                return await complete(request)

            house.model.complete = one_at_a_time
            posted = await post(house, receiver="all", text="Hello", wait=0.5)
            assert len(posted.accepted) == 2
            assert len(posted.replies) == 1

    async def test_a_group_that_there_is_not_is_told(self, running):
        error = await told(post(running, receiver="group:nowhere", text="Hello"))
        assert error.code is Code.CONVERSATION_NOT_FOUND

    @pytest.mark.parametrize("wait", [0, DEADLINE])
    async def test_a_repeated_message_is_the_first_one(self, running, wait):
        first = await post(running, receiver="helper", text="Hello", idempotency_key="k", wait=wait)
        second = await post(running, receiver="helper", text="Hello", idempotency_key="k", wait=wait)
        assert first == second
        other = await told(post(running, receiver="helper", text="Else", idempotency_key="k", wait=wait))
        assert other.code is Code.IDEMPOTENCY_KEY_REUSED

    async def test_in_memory_only_the_reply_is_all_that_there_is(self, running):
        posted = await post(running, receiver="helper", text="Hello", durability="memory", wait=DEADLINE)
        assert posted.replies[0].text == "echo: Hello"
        assert (await told(running.messages.show(id=posted.accepted[0].id))).code is Code.MESSAGE_NOT_FOUND
        late = await told(post(running, receiver="helper", text="hold on", durability="memory", wait=SHORT))
        assert late.code is Code.REPLY_TIMEOUT

    async def test_a_deadline_ends_it_whoever_waits(self, running):
        holding = await post(running, receiver="helper", text="hold on")
        await running.model.held.wait()
        late = await post(running, receiver="helper", text="Hello", reply_by=running.clock.now() + 5)
        await running.clock.advance(10)
        running.model.let_go.set()
        assert (await settled(running, holding.accepted[0].id)).text == "echo: hold on"
        reply = await settled(running, late.accepted[0].id)
        assert reply.content["error"]["code"] == "deadline_passed"

    async def test_the_trace_of_the_client_goes_on(self, running):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        [reply] = (await post(running, receiver="helper", text="Hello", trace=trace, wait=DEADLINE)).replies
        assert trace_id_of(reply.id, reply.trace) == "0af7651916cd43dd8448eb211c80319c"

    async def test_pictures_are_looked_at_before_a_model_is(self, running):
        good = {"text": "What is this?", "images": [PICTURE]}
        [reply] = (await post(running, receiver="helper", content=good, wait=DEADLINE)).replies
        assert reply.text == "echo: What is this?"
        for images, field in [
            ("x", "content.images"),
            ([5], "content.images"),
            ([PICTURE, "http://x"], "content.images[1]"),
        ]:
            error = await told(post(running, receiver="helper", content={**good, "images": images}))
            assert [finding.field for finding in error.findings] == [field]


class TestReply:
    async def test_a_reply_goes_to_who_asked(self, running):
        heard = asyncio.get_running_loop().create_future()

        async def listen(message: Message) -> None:
            heard.set_result(message)

        async def say_nothing(message: Message) -> None:
            return

        async with running.bus.serve("boss", listen), running.bus.serve("clerk", say_nothing):
            posted = await post(running, receiver="clerk", sender="boss", text="Do it")
            id = posted.accepted[0].id
            await post(running, performative="agree", in_reply_to=id)
            async with asyncio.timeout(DEADLINE):
                agreed = await heard
            assert (agreed.sender, agreed.conversation_id, agreed.in_reply_to) == ("clerk", "boss:clerk", id)
            assert (await running.messages.reply(id=id)).performative is Performative.AGREE
            heard = asyncio.get_running_loop().create_future()
            await post(running, performative="inform", in_reply_to=id, text="Done")
            assert (await running.messages.reply(id=id)).text == "Done"

    async def test_nobody_answers_for_an_agent(self, running):
        posted = await post(running, receiver="helper", text="hold on")
        id = posted.accepted[0].id
        error = await told(post(running, performative="inform", in_reply_to=id, text="Done"))
        assert [finding.field for finding in error.findings] == ["sender"]
        running.model.let_go.set()
        assert (await settled(running, id)).text == "echo: hold on"

    async def test_a_cancel_ends_the_turn_that_it_names(self, running):
        posted = await post(running, receiver="helper", text="hold on")
        await running.model.held.wait()
        [told_so] = (
            await post(running, performative="cancel", in_reply_to=posted.accepted[0].id, wait=DEADLINE)
        ).replies
        assert told_so.content["cancelled"] == 1
        reply = await settled(running, posted.accepted[0].id)
        assert reply.content["error"]["code"] == "turn_cancelled"

    async def test_one_that_is_not_there_yet_is_told(self, running):
        posted = await post(running, receiver="helper", text="hold on")
        id = posted.accepted[0].id
        assert (await told(running.messages.reply(id=id))).code is Code.MESSAGE_NOT_FOUND
        assert (await told(running.messages.reply(id=id, wait=SHORT))).code is Code.REPLY_TIMEOUT
        assert (await told(running.messages.reply(id=id, wait=-1))).code is Code.PARAMETER_INVALID
        assert (await told(running.messages.reply(id="nothing"))).code is Code.MESSAGE_NOT_FOUND
        running.model.let_go.set()
        assert (await settled(running, id)).text == "echo: hold on"

    async def test_what_is_not_answered_is_told(self, running):
        posted = await post(running, receiver="helper", text="News", performative="inform")
        error = await told(running.messages.reply(id=posted.accepted[0].id, wait=LONGEST_WAIT))
        assert error.code is Code.MESSAGE_NOT_FOUND
        assert "'inform'" in error.message


class TestNotUnderstood:
    async def refused(self, house, body):
        error = await told(house.messages.post(body=body))
        assert isinstance(error, MessageNotUnderstood)
        assert (await house.messages.search()).messages == []
        return error

    @pytest.mark.parametrize("body", [None, 5, [], "Hello"])
    async def test_what_is_no_object_is_no_message(self, running, body):
        error = await self.refused(running, body)
        assert error.reply.performative is Performative.NOT_UNDERSTOOD

    async def test_all_that_is_wrong_is_told_in_a_message_too(self, running):
        body = {"sender": "ada", "performative": "requst", "priority": 10, "reply_with": "q1", "wait": -1}
        error = await self.refused(running, body)
        assert [finding.field for finding in error.findings] == ["wait", "performative", "receiver", "priority"]
        assert (error.reply.sender, error.reply.receiver, error.reply.in_reply_to) == ("caxton", "ada", "q1")
        assert len(error.reply.content["problems"]) == 4

    @pytest.mark.parametrize("wait", [-1, LONGEST_WAIT + 1, "soon", True, [5], float("nan")])
    async def test_a_wait_has_an_end(self, running, wait):
        error = await self.refused(running, {"receiver": "helper", "text": "Hello", "wait": wait})
        assert [finding.field for finding in error.findings] == ["wait"]

    async def test_replies_of_several_are_not_waited_for_in_memory(self, running):
        body = {"receiver": "all", "text": "Hello", "durability": "memory", "wait": 5}
        assert [finding.field for finding in (await self.refused(running, body)).findings] == ["wait"]


class TestSearch:
    async def test_messages_are_found_by_whatever_is_known_of_them(self, house):
        house.file()
        house.file("writer")
        async with house.opened():
            await house.ask("Hello")
            await house.ask("Write", to="writer", sender="ada")
            search = house.messages.search

            async def texts(**wanted):
                return [message.text for message in (await search(**wanted)).messages]

            assert await texts() == ["echo: Write", "Write", "echo: Hello", "Hello"]
            assert await texts(agent="writer") == ["echo: Write", "Write"]
            assert await texts(sender="ada") == ["Write"]
            assert await texts(performative=Performative.INFORM) == ["echo: Write", "echo: Hello"]
            assert await texts(state=MessageState.DEAD) == []
            assert await texts(agent="nobody") == []
            assert await texts(since=house.clock.now() + 1) == []
            page = await search(limit=3)
            assert [one.text for one in (await search(limit=3, before=page.next)).messages] == ["Hello"]
