import asyncio

import pytest
from support.house import DEADLINE

from caxton.domain.conversation import ParticipantKind
from caxton.domain.errors import CaxtonError, Code
from caxton.service.api.conversations import CreateConversation, SpeakToGroup


async def test_conversations_come_last_active_first_in_pages(running):
    for name in ("one", "two", "three", "one"):
        await running.ask(f"Hello {name}", conversation_id=name)
    first = await running.conversations.list(limit=2)
    second = await running.conversations.list(limit=2, before=first.next)
    assert [talk.id for talk in [*first.conversations, *second.conversations]] == ["one", "three", "two"]
    assert second.next is None
    assert first.conversations[0].messages == 4


async def test_those_of_one_agent_are_listed_alone(running):
    await running.definitions.follow(running.file("other"))
    await running.ask("Hello")
    await running.ask("Hello", to="other")
    listed = await running.conversations.list(agent="other")
    assert [(talk.id, talk.agent) for talk in listed.conversations] == [("user:other", "other")]


async def test_one_is_shown_with_its_newest_messages_oldest_first(running):
    for number in range(3):
        await running.ask(f"text {number}")
    shown = await running.conversations.show(id="user:helper", limit=3)
    assert shown.conversation.messages == 6
    assert [message.text for message in shown.messages] == ["echo: text 1", "text 2", "echo: text 2"]


async def test_a_reset_one_begins_afresh(running):
    await running.ask("Forget this")
    await running.ask("Keep this", conversation_id="elsewhere")
    assert (await running.conversations.reset(id="user:helper")).messages_erased == 2
    reply = await running.ask("Hello")
    assert [message.content for message in running.traces.find(reply.in_reply_to).prompt] == ["You help.", "Hello"]
    assert (await running.conversations.show(id="elsewhere")).conversation.messages == 2


async def test_a_reset_leaves_what_waits_for_its_answer(running):
    asking = asyncio.create_task(running.ask("hold on"))
    await running.model.held.wait()
    assert (await running.conversations.reset(id="user:helper")).messages_erased == 0
    running.model.let_go.set()
    assert (await asking).text == "echo: hold on"


@pytest.mark.parametrize("verb", ["show", "reset"])
async def test_one_that_is_not_there_is_told(running, verb):
    with pytest.raises(CaxtonError, match="'nothing'") as caught:
        await getattr(running.conversations, verb)(id="nothing")
    assert caught.value.code is Code.CONVERSATION_NOT_FOUND


@pytest.fixture
async def team(running):
    """Three agents: two with descriptions."""
    await running.definitions.follow(running.file("writer", "You write.", more='description = "Writes drafts"\n'))
    await running.definitions.follow(running.file("reviewer", "You review.", more='description = "Finds faults"\n'))
    return running


async def begin(house, *agents, **fields):
    return await house.conversations.create(body=CreateConversation(participants=agents, **fields))


async def say(house, id, text="Hello", **fields):
    async with asyncio.timeout(DEADLINE):
        return await house.conversations.send(id=id, body=SpeakToGroup(text=text, **fields))


def names(group):
    return [one.name for one in group.participants]


class TestGroups:
    async def test_one_is_created_with_what_it_is_about(self, team):
        group = await begin(team, "writer", "reviewer", people=("ada",), title="A plan", metadata={"n": 1}, idle=60.0)
        assert names(group) == ["writer", "reviewer", "ada"]
        assert group.agents == ("writer", "reviewer")
        shown = await team.conversations.show(id=group.id)
        assert shown.conversation.group == group
        assert (shown.conversation.agent, shown.conversation.messages, shown.messages) == ("writer", 0, [])

    async def test_ids_are_made_up_or_chosen_once(self, team):
        assert (await begin(team, "writer")).id != (await begin(team, "writer")).id
        await begin(team, "writer", id="mine")
        await team.ask("Hello", conversation_id="a talk")
        for taken in ("mine", "a talk"):
            with pytest.raises(CaxtonError) as caught:
                await begin(team, "writer", id=taken)
            assert caught.value.code is Code.CONVERSATION_EXISTS

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"participants": ("writter",)}, Code.AGENT_NOT_FOUND),
            ({"participants": ("writer", "writer")}, Code.BODY_INVALID),
            ({"participants": ("writer",), "people": ("writer",)}, Code.BODY_INVALID),
            ({"people": ("group:other",)}, Code.BODY_INVALID),
            ({"people": ("all",)}, Code.BODY_INVALID),
            ({"people": ("",)}, Code.BODY_INVALID),
            ({"id": "new"}, Code.BODY_INVALID),
            ({"id": ""}, Code.BODY_INVALID),
            ({"id": "x" * 201}, Code.BODY_INVALID),
            ({"title": "two\nlines"}, Code.BODY_INVALID),
            ({"metadata": {"long": "x" * 17_000}}, Code.BODY_INVALID),
            ({"metadata": {"half": "\ud800"}}, Code.BODY_INVALID),
        ],
    )
    async def test_what_cannot_be_is_told_and_not_created(self, team, fields, code):
        with pytest.raises(CaxtonError) as caught:
            await team.conversations.create(body=CreateConversation(**fields))
        assert caught.value.code is code
        assert (await team.conversations.list()).silent == []

    async def test_who_joins_and_leaves_is_in_the_events(self, team):
        id = (await begin(team, "writer")).id
        await team.clock.advance(1.0)
        assert names(await team.conversations.join(id=id, name="reviewer")) == ["writer", "reviewer"]
        again = await team.conversations.join(id=id, name="reviewer")
        assert names(again) == ["writer", "reviewer"]
        await team.conversations.join(id=id, name="ada", kind=ParticipantKind.PERSON)
        await team.clock.advance(1.0)
        assert names(await team.conversations.leave(id=id, name="writer")) == ["reviewer", "ada"]
        events = (await team.conversations.show(id=id)).events
        assert [(event.name, event.joined) for event in events] == [
            ("writer", True),
            ("reviewer", True),
            ("ada", True),
            ("writer", False),
        ]
        assert events[-1].at - events[0].at == 2.0
        with pytest.raises(CaxtonError) as caught:
            await team.conversations.leave(id=id, name="writer")
        assert caught.value.code is Code.PARTICIPANT_NOT_FOUND

    async def test_a_closed_one_takes_no_messages_until_it_is_reopened(self, team):
        id = (await begin(team, "writer")).id
        assert not (await team.conversations.close(id=id)).is_open
        for refused in (say(team, id), team.conversations.join(id=id, name="reviewer")):
            with pytest.raises(CaxtonError) as caught:
                await refused
            assert caught.value.code is Code.CONVERSATION_CLOSED
        assert (await team.conversations.reopen(id=id)).is_open
        assert (await say(team, id)).replies[0].reply.text == "echo: user: Hello"

    async def test_those_of_a_participant_are_listed_and_silent_ones_with_the_first_page(self, team):
        one, two = (await begin(team, "writer", "reviewer")).id, (await begin(team, "reviewer")).id
        await say(team, one)
        listed = await team.conversations.list()
        assert [(entry.id, entry.messages, entry.group.agents) for entry in listed.conversations] == [
            (one, 4, ("writer", "reviewer"))
        ]
        assert [entry.id for entry in listed.silent] == [two]
        of_writer = await team.conversations.list(participant="writer")
        assert [(entry.id, entry.messages) for entry in of_writer.conversations] == [(one, 4)]
        first = await team.conversations.list(participant="reviewer", limit=1)
        second = await team.conversations.list(participant="reviewer", limit=1, before=first.next)
        assert [entry.id for entry in [*first.conversations, *second.conversations]] == [two, one]

    async def test_a_talk_of_two_becomes_one_when_another_joins(self, team):
        await team.ask("My name is Ada.")
        group = await team.conversations.join(id="user:helper", name="reviewer")
        assert names(group) == ["helper", "reviewer"]
        replies = (await say(team, "user:helper", "Who am I?")).replies
        heard = team.traces.find(replies[1].reply.in_reply_to).prompt[-1].content
        assert heard == "user: My name is Ada.\n\nhelper: echo: My name is Ada.\n\nuser: Who am I?"

    async def test_a_reset_one_begins_afresh_with_those_who_take_part_now(self, team):
        id = (await begin(team, "writer", "reviewer", title="Plan")).id
        await say(team, id)
        await team.conversations.leave(id=id, name="reviewer")
        assert (await team.conversations.reset(id=id)).messages_erased == 4
        shown = await team.conversations.show(id=id)
        assert (names(shown.conversation.group), shown.conversation.group.title) == (["writer"], "Plan")
        assert [event.name for event in shown.events] == ["writer"]
        [reply] = (await say(team, id, "Again")).replies
        assert team.traces.find(reply.reply.in_reply_to).prompt[-1].content == "user: Again"

    async def test_of_a_deleted_one_nothing_is_left(self, team):
        id = (await begin(team, "writer", title="Plan")).id
        await say(team, id)
        assert (await team.conversations.delete(id=id)).messages_erased == 2
        with pytest.raises(CaxtonError) as caught:
            await team.conversations.show(id=id)
        assert caught.value.code is Code.CONVERSATION_NOT_FOUND
        assert team.groups.find(id) is None
        assert await team.groups.participations(id) == []
        await team.ask("Hello", conversation_id="a talk")
        assert (await team.conversations.delete(id="a talk")).messages_erased == 2

    @pytest.mark.parametrize("verb", ["delete", "close", "reopen", "join", "leave", "send"])
    async def test_one_that_is_not_there_is_told(self, team, verb):
        more = {"name": "writer"} if verb in ("join", "leave") else {}
        more = {"body": SpeakToGroup(text="Hello")} if verb == "send" else more
        with pytest.raises(CaxtonError, match="'nothing'") as caught:
            await getattr(team.conversations, verb)(id="nothing", **more)
        assert caught.value.code is Code.CONVERSATION_NOT_FOUND
