"""What a running agent does on each communicative act."""

import asyncio
import json

import pytest
from support.messages import a_request

from caxton.domain.errors import Code
from caxton.domain.message import MessageState, Performative
from caxton.domain.protocol import ACTS, Handling

DEADLINE = 5.0


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0)


class Ear:
    """Somebody on the bus who notes what it is told."""

    def __init__(self) -> None:
        self.got = []

    async def hear(self, message):
        self.got.append(message)


class Held:
    """An answer that comes when it is let go, or is cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, request):
        self.begun.set()
        await self.let_go.wait()
        return "done"


def test_every_performative_has_its_place_in_the_table():
    assert set(ACTS) == set(Performative)
    for performative, act in ACTS.items():
        assert act.answered or act.handling in (Handling.TURN, Handling.NOTE), performative
        for reply in act.replies:
            assert not ACTS[reply].answered or reply in (Performative.ACCEPT_PROPOSAL, Performative.PROPOSE)


@pytest.mark.parametrize("performative", [p for p, act in ACTS.items() if act.handling is Handling.REJECT])
async def test_what_it_does_not_act_on_is_not_understood(running, performative):
    reply = await running.bus.ask(a_request("hello", performative=performative))
    assert reply.performative is Performative.NOT_UNDERSTOOD
    assert performative.value in reply.content["error"]["message"]
    assert running.model.requests == []


@pytest.mark.parametrize("performative", [Performative.REQUEST, Performative.QUERY_IF, Performative.QUERY_REF])
async def test_a_question_is_answered_by_a_turn(running, performative):
    reply = await running.bus.ask(a_request("hello", performative=performative))
    assert (reply.performative, reply.text) == (Performative.INFORM, "re: hello")


async def test_news_are_taken_in_by_a_turn_and_answered_to_nobody(running):
    ear = Ear()
    async with running.bus.serve("teller", ear.hear):
        news = a_request("It rains.", performative=Performative.INFORM, sender="teller")
        await running.bus.send(news)
        await until(lambda: running.messages.find(news.id).state is MessageState.SETTLED)
        await running.ask("How is the weather?", conversation=news.conversation_id)
    assert ear.got == []
    assert [message.content for message in running.model.requests[-1].messages[1:]] == [
        "It rains.",
        "re: It rains.",
        "How is the weather?",
    ]


@pytest.mark.parametrize("performative", [p for p, act in ACTS.items() if act.handling is Handling.NOTE])
async def test_what_is_only_noted_begins_no_turn(running, performative):
    note = a_request("noted", performative=performative)
    await running.bus.send(note)
    await until(lambda: running.messages.find(note.id).state is MessageState.SETTLED)
    assert running.model.requests == []


@pytest.mark.parametrize(
    ("accept", "performative"), [(True, Performative.ACCEPT_PROPOSAL), (False, Performative.REJECT_PROPOSAL)]
)
async def test_a_proposal_is_taken_or_not_as_the_model_says(running, accept, performative):
    running.model.answer = lambda request: json.dumps({"accept": accept, "reason": "Because."})
    reply = await running.bus.ask(a_request("Shall we?", performative=Performative.PROPOSE))
    assert (reply.performative, reply.text) == (performative, "Because.")
    assert running.model.requests[0].response_schema.schema["required"] == ["accept", "reason"]


class TestCancel:
    async def test_it_ends_the_turn_it_names_and_the_next_one_goes_on(self, running):
        held = running.model.answer = Held()
        request = a_request("long")
        asking = asyncio.create_task(running.bus.ask(request))
        await held.begun.wait()
        cancel = a_request("", performative=Performative.CANCEL, in_reply_to=request.id)
        done = await running.bus.ask(cancel)
        assert (done.performative, done.content["cancelled"]) == (Performative.INFORM, 1)
        reply = await asking
        assert reply.performative is Performative.FAILURE
        assert reply.content["error"]["code"] == Code.TURN_CANCELLED
        running.model.answer = lambda _: "next"
        assert (await running.bus.ask(a_request("again"))).text == "next"

    async def test_what_was_cancelled_is_no_dead_letter(self, running):
        held = running.model.answer = Held()
        request = a_request("long")
        await running.bus.send(request)
        await held.begun.wait()
        await running.bus.ask(a_request("", performative=Performative.CANCEL, in_reply_to=request.id))
        await until(lambda: running.messages.find(request.id).state is not MessageState.ACCEPTED)
        assert running.messages.find(request.id).state is MessageState.FAILED

    async def test_two_of_them_are_as_one(self, running):
        held = running.model.answer = Held()
        request = a_request("long")
        await running.bus.send(request)
        await held.begun.wait()
        cancels = [a_request("", performative=Performative.CANCEL, in_reply_to=request.id) for _ in range(2)]
        await asyncio.gather(*(running.bus.send(cancel) for cancel in cancels))
        await until(lambda: running.messages.find(request.id).state is MessageState.FAILED)
        await until(lambda: running.supervisor.get("helper").depth == 0)

    async def test_one_that_names_a_request_leaves_the_subscription(self, running):
        subscribe = a_request("", performative=Performative.SUBSCRIBE, sender="ann", conversation_id="talk")
        await running.bus.ask(subscribe)
        held = running.model.answer = Held()
        request = a_request("long", sender="ann", conversation_id="work")
        await running.bus.send(request)
        await held.begun.wait()
        cancel = a_request(
            "", performative=Performative.CANCEL, sender="ann", conversation_id="talk", in_reply_to=request.id
        )
        assert (await running.bus.ask(cancel)).content["cancelled"] == 1
        assert running.bus.recall("helper", "subscriptions")

    async def test_it_ends_what_has_not_begun(self, running):
        held = running.model.answer = Held()
        first, second = a_request("first"), a_request("second")
        asking = [asyncio.create_task(running.bus.ask(one)) for one in (first, second)]
        await held.begun.wait()
        await until(lambda: running.supervisor.get("helper").depth == 2)
        cancelling = asyncio.create_task(
            running.bus.ask(a_request("", performative=Performative.CANCEL, in_reply_to=second.id))
        )
        await until(lambda: running.supervisor.get("helper").depth == 3)
        held.let_go.set()
        assert (await cancelling).content["cancelled"] == 1
        replies = await asyncio.gather(*asking)
        assert [reply.performative for reply in replies] == [Performative.INFORM, Performative.FAILURE]

    async def test_it_ends_nothing_of_anybody_else(self, running):
        held = running.model.answer = Held()
        request = a_request("long", sender="ann")
        asking = asyncio.create_task(running.bus.ask(request))
        await held.begun.wait()
        cancel = a_request(
            "", performative=Performative.CANCEL, sender="bob", conversation_id="other", in_reply_to=request.id
        )
        assert (await running.bus.ask(cancel)).content["cancelled"] == 0
        held.let_go.set()
        assert (await asking).text == "done"


class TestSubscribe:
    async def test_a_subscriber_hears_of_every_change_until_it_cancels(self, running):
        ear = Ear()
        async with running.bus.serve("watcher", ear.hear):
            subscribe = a_request("", performative=Performative.SUBSCRIBE, sender="watcher", conversation_id="watch")
            assert (await running.bus.ask(subscribe)).performative is Performative.AGREE
            await running.supervisor.stop("helper")
            await running.supervisor.start("helper")
            await until(
                lambda: [one.content["event"]["target"] for one in ear.got] == ["draining", "stopped", "running"]
            )
            cancel = a_request("", performative=Performative.CANCEL, sender="watcher", conversation_id="watch")
            assert (await running.bus.ask(cancel)).content["cancelled"] == 1
            await running.supervisor.stop("helper")
            await running.supervisor.flush()
            assert len(ear.got) == 3

    async def test_subscriptions_outlive_the_server(self, stage):
        ear = Ear()
        async with stage.opened() as supervisor:
            await supervisor.apply(stage.a_definition())
            await stage.bus.ask(a_request("", performative=Performative.SUBSCRIBE, sender="watcher"))
        async with stage.opened() as supervisor, stage.bus.serve("watcher", ear.hear):
            await supervisor.apply(stage.a_definition())
            await until(lambda: ear.got)
        assert ear.got[0].performative is Performative.INFORM


async def test_a_turn_ends_with_the_time_by_which_its_reply_is_wanted(running):
    running.model.answer = Held()
    request = a_request("hello", reply_by=running.clock.now() + 0.01)
    await running.bus.send(request)
    await until(lambda: running.messages.find(request.id).state is MessageState.DEAD)
    assert running.messages.dead_letter(request.id).error.code is Code.DEADLINE_PASSED
