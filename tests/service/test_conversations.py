import asyncio

import pytest

from caxton.domain.errors import CaxtonError, Code


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
