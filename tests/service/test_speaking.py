"""Speaking to a group."""

import asyncio

import pytest
from support.house import DEADLINE, until

from caxton.domain.address import group_address
from caxton.domain.conversation import History, Order
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message, Performative
from caxton.service.api.conversations import (
    CreateConversation,
    GroupReplies,
    GroupReply,
    SpeakerDelta,
    SpeakerStarted,
    SpeakToGroup,
)


@pytest.fixture
async def team(running):
    """Three agents, `researcher`, `writer` and `reviewer`, of which the last two say what they are for."""
    await running.definitions.follow(running.file("researcher", "You research."))
    await running.definitions.follow(running.file("writer", "You write.", more='description = "Writes drafts"\n'))
    await running.definitions.follow(running.file("reviewer", "You review.", more='description = "Finds faults"\n'))
    return running


async def begin(house, *agents, **fields):
    agents = agents or ("researcher", "writer", "reviewer")
    return (await house.conversations.create(body=CreateConversation(participants=agents, **fields))).id


async def say(house, id, text="Hello", **fields):
    async with asyncio.timeout(DEADLINE):
        return (await house.conversations.send(id=id, body=SpeakToGroup(text=text, **fields))).replies


async def follow(house, id, text="Hello", **fields):
    async with asyncio.timeout(DEADLINE):
        return [event async for event in house.conversations.stream(id=id, body=SpeakToGroup(text=text, **fields))]


def heard(house, reply):
    """What the model was sent for a reply, without the system prompt."""
    return [message.content for message in house.traces.find(reply.reply.in_reply_to).prompt[1:]]


async def test_together_all_are_asked_the_same_and_answer_in_the_order_of_joining(team):
    replies = await say(team, await begin(team))
    assert [(one.agent, one.round, one.reply.text) for one in replies] == [
        (name, 1, "echo: user: Hello") for name in ("researcher", "writer", "reviewer")
    ]


async def test_in_turn_each_hears_those_before_it(team):
    replies = await say(team, await begin(team, order=Order.IN_TURN))
    assert [heard(team, one) for one in replies] == [
        ["user: Hello"],
        ["user: Hello\n\nresearcher: echo: user: Hello"],
        [f"user: Hello\n\nresearcher: echo: user: Hello\n\nwriter: {replies[1].reply.text}"],
    ]


async def test_the_next_message_finds_everything_that_was_said(team):
    id = await begin(team, "writer", "reviewer")
    await say(team, id, "One")
    first, second = await say(team, id, "Two", sender="ada")
    assert heard(team, first) == ["user: One", "echo: user: One", "reviewer: echo: user: One\n\nada: Two"]
    assert heard(team, second) == ["user: One", "echo: user: One", "writer: echo: user: One\n\nada: Two"]


async def test_every_round_knows_the_one_before(team):
    for order, first in ((Order.TOGETHER, "echo: user: Hello"), (Order.IN_TURN, "echo: user: Hello")):
        id = await begin(team, "writer", "reviewer", order=order)
        replies = await say(team, id, rounds=2)
        assert [(one.agent, one.round) for one in replies] == [
            ("writer", 1),
            ("reviewer", 1),
            ("writer", 2),
            ("reviewer", 2),
        ]
        assert heard(team, replies[2]) == ["user: Hello", first, f"reviewer: {replies[1].reply.text}"]


async def test_the_system_prompt_names_the_others_and_what_they_are_for(team):
    replies = await say(team, await begin(team, "writer", "reviewer", people=("ada",)))
    told = team.traces.find(replies[0].reply.in_reply_to).prompt[0].content
    assert told.startswith("You write.\n\nYou are writer.")
    assert "with reviewer (Finds faults), ada." in told


async def test_in_private_an_agent_knows_what_it_and_the_sender_said_alone(team):
    id = await begin(team, "writer", "reviewer", history=History.PRIVATE, order=Order.IN_TURN)
    await say(team, id, "I am Ada", sender="ada")
    await say(team, id, "I am Bob", sender="bob")
    replies = await say(team, id, "Who am I?", sender="ada")
    for reply in replies:
        assert heard(team, reply) == ["I am Ada", "echo: I am Ada", "Who am I?"]


async def test_who_joins_late_hears_what_was_said_before(team):
    id = await begin(team, "writer")
    await say(team, id, "The password is tulip")
    await team.conversations.join(id=id, name="reviewer")
    _, late = await say(team, id, "What is it?")
    assert heard(team, late) == [
        "user: The password is tulip\n\nwriter: echo: user: The password is tulip\n\nuser: What is it?"
    ]


@pytest.mark.parametrize("order", Order)
async def test_one_that_fails_is_in_the_list_and_stops_nobody(team, order):
    id = await begin(team, order=order)
    await team.agents.stop(name="researcher")
    first, second, third = await say(team, id)
    assert (first.reply, first.error.code) == (None, Code.AGENT_NOT_RUNNING)
    assert second.reply.text == "echo: user: Hello"
    assert third.reply is not None
    await team.agents.delete(name="writer")
    assert [one.error and one.error.code for one in await say(team, id, "Again")] == [
        Code.AGENT_NOT_RUNNING,
        Code.AGENT_NOT_FOUND,
        None,
    ]
    streamed = await follow(team, id, "And again")
    assert [one.error and one.error.code for one in streamed[-1].replies] == [
        Code.AGENT_NOT_RUNNING,
        Code.AGENT_NOT_FOUND,
        None,
    ]


async def test_a_turn_that_fails_is_told_at_once_and_never_was_part_of_the_talk(team):
    id = await begin(team, "writer", "reviewer")
    replies = await say(team, id, "crash, both of you")
    assert [one.error.code for one in replies] == [Code.TURN_CRASHED] * 2
    await team.clock.advance(60.0)
    await until(lambda: all(team.supervisor.get(name).state == "running" for name in ("writer", "reviewer")), "restart")
    assert heard(team, (await say(team, id, "Still there?"))[0]) == ["user: Still there?"]


async def test_an_agent_that_speaks_is_not_asked_itself(team):
    id = await begin(team, "writer", "reviewer")
    [reply] = await say(team, id, sender="writer")
    assert reply.agent == "reviewer"
    with pytest.raises(CaxtonError) as caught:
        await say(team, await begin(team, "writer"), sender="writer")
    assert caught.value.code is Code.PARTICIPANT_NOT_FOUND


@pytest.mark.parametrize("fields", [{"text": " "}, {"sender": "x" * 201}, {"images": ("http://x/y.png",)}])
async def test_what_cannot_be_said_is_refused(team, fields):
    id = await begin(team)
    with pytest.raises(CaxtonError) as caught:
        await say(team, id, **fields)
    assert caught.value.code is Code.BODY_INVALID
    assert (await team.conversations.show(id=id)).messages == []


async def test_all_messages_of_one_thing_said_have_one_trace(team):
    id = await begin(team)
    await say(team, id, rounds=2)
    shown = (await team.conversations.show(id=id)).messages
    traces = {team.message_store.find(one.id).message.trace[3:35] for one in shown}
    assert (len(shown), len(traces)) == (12, 1)


class TestStream:
    @pytest.mark.parametrize("order", Order)
    async def test_what_each_says_comes_with_its_name_and_at_last_all_of_it(self, team, order):
        id = await begin(team, order=order)
        *events, last = await follow(team, id, "Hello there", rounds=2)
        assert isinstance(last, GroupReplies)
        names = ("researcher", "writer", "reviewer")
        assert [(one.agent, one.round) for one in last.replies] == [(name, n) for n in (1, 2) for name in names]
        for name in names:
            own = [event for event in events if event.agent == name]
            ends = [place for place, event in enumerate(own) if isinstance(event, GroupReply)]
            assert len(ends) == 2
            first = own[: ends[0] + 1]
            assert isinstance(first[0], SpeakerStarted)
            assert first[0].in_reply_to == first[-1].reply.in_reply_to
            assert "".join(one.text for one in first[1:-1] if isinstance(one, SpeakerDelta)) == first[-1].reply.text

    async def test_errors_come_before_the_first_event(self, team):
        id = await begin(team)
        await team.conversations.close(id=id)
        with pytest.raises(CaxtonError) as caught:
            await follow(team, id)
        assert caught.value.code is Code.CONVERSATION_CLOSED

    async def test_who_hangs_up_lets_the_turn_that_runs_go_on_and_nobody_else_be_asked(self, team):
        id = await begin(team, order=Order.IN_TURN)
        team.model.let_go.set()
        events = team.conversations.stream(id=id, body=SpeakToGroup(text="Hello"))
        async with asyncio.timeout(DEADLINE):
            assert isinstance(await anext(events), SpeakerStarted)
            await events.aclose()
        await until(lambda: team.message_store.conversation(id).messages == 2, "the reply")
        assert [one.sender for one in (await team.conversations.show(id=id)).messages] == ["user", "researcher"]


async def test_what_is_sent_to_the_group_by_the_bus_is_answered_in_the_conversation(team):
    id = await begin(team, "writer", "reviewer", people=("ada",))
    message = Message(
        id=team.new_id(),
        performative=Performative.REQUEST,
        sender="helper",
        receiver=group_address(id),
        conversation_id=id,
        created_at=team.clock.now(),
        content={"text": "Hello"},
    )
    sent = await team.bus.broadcast(message)
    assert [one.receiver for one in sent] == ["writer", "reviewer"]
    async with asyncio.timeout(DEADLINE):
        for one in sent:
            assert (await team.bus.answer(one)).text == "echo: helper: Hello"
    shown = (await team.conversations.show(id=id)).messages
    assert {one.sender for one in shown} >= {"helper", "writer", "reviewer"}
    first, _ = await say(team, id, "What did the helper say?")
    assert heard(team, first)[0] == "helper: Hello"


async def test_a_closed_group_is_no_address(team):
    id = await begin(team)
    await team.conversations.close(id=id)
    message = Message(
        id=team.new_id(),
        performative=Performative.INFORM,
        sender="helper",
        receiver=group_address(id),
        conversation_id=id,
        created_at=team.clock.now(),
        content={"text": "Hello"},
    )
    with pytest.raises(CaxtonError) as caught:
        await team.bus.broadcast(message)
    assert caught.value.code is Code.CONVERSATION_NOT_FOUND


async def test_what_leaves_the_window_is_summed_up_with_the_names_of_those_who_said_it(team):
    more = '[conversation]\nstrategy = "summarize"\ncontext_window = 64\n[llm]\nmax_tokens = 8\n'
    await team.definitions.follow(team.file("writer", "You write.", more=more))
    id = await begin(team, "writer", "reviewer")
    for number in range(6):
        await say(team, id, f"Thing number {number} is told here", sender="ada")
    await until(lambda: team.message_store.summary(id, "writer"), "the summary")
    summed = team.message_store.summary(id, "writer").text
    assert "ada: Thing number 0 is told here" in summed
    assert "reviewer: echo: ada: Thing number 0 is told here" in summed
    first, _ = await say(team, id, "Go on", sender="ada")
    prompt = team.traces.find(first.reply.in_reply_to)
    assert "What was said earlier" in prompt.prompt[0].content
    assert prompt.left_out > 0
