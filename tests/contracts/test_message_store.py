"""What every message store has to do. A new backend is one more id of the fixture `store`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.messages import a_refusal, a_request, accepted, an_answer, texts
from support.stores import accepted_for, add, settle

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Conversation, Durability, Exchange, Message, MessageState, Performative, Summary
from caxton.domain.ports.messages import MessageStore
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryMessageStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MessageStore]:
    if request.param == "memory":
        yield MemoryMessageStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteMessageStore(database)


async def exchange(store: MessageStore, text: str = "Hello", **fields: str) -> Exchange:
    """A request stored and settled with an inform that repeats it."""
    request = a_request(text, **fields)
    reply = an_answer(request, f"re: {text}")
    await add(store, request)
    await settle(store, request.id, MessageState.SETTLED, reply)
    return Exchange(request, reply)


class TestAppend:
    async def test_a_message_is_kept_whole(self, store):
        message = Message(
            id="m1",
            performative=Performative.REQUEST,
            sender="planner",
            receiver="helper",
            conversation_id="c1",
            created_at=1_800_000_000.123456,
            content={"text": "Hello", "deep": {"list": [1, 2.5, None, True], "big": 2**70}},
            in_reply_to="m0",
            reply_with="r1",
            reply_by=1_800_000_060.0,
            protocol="fipa-request",
            ontology="things",
            language="en",
            priority=9,
            idempotency_key="key",
            hops=3,
            trace="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            durability=Durability.STORED,
        )
        await add(store, message)
        assert store.find("m1") == accepted(message)

    async def test_a_message_that_is_not_there_is_not_found(self, store):
        assert store.find("nothing") is None

    async def test_a_second_message_with_the_same_id_changes_nothing(self, store):
        first = a_request("first", id="m1")
        await add(store, first)
        await add(store, a_request("second", id="m1", agent="other", conversation_id="another"))
        assert store.find("m1") == accepted(first)
        assert store.conversation("user:helper").messages == 1
        assert store.conversation("another") is None

    async def test_a_settled_message_stays_settled_when_it_is_appended_again(self, store):
        done = await exchange(store)
        await add(store, done.request)
        assert store.find(done.request.id).state is MessageState.SETTLED
        assert await accepted_for(store, "helper") == []

    async def test_a_message_is_returned_as_it_was_stored(self, store):
        message = a_request(idempotency_key="k")
        assert await add(store, message) == message
        assert await add(store, message) == message

    async def test_a_second_message_with_the_same_key_is_not_stored_and_the_first_returned(self, store):
        first, second = a_request("first", idempotency_key="k"), a_request("second", idempotency_key="k")
        assert store.keyed(receiver="helper", sender="user", key="k") is None
        await add(store, first)
        assert await add(store, second) == first
        assert store.keyed(receiver="helper", sender="user", key="k") == first
        assert store.find(second.id) is None
        assert store.conversation("user:helper").messages == 1

    async def test_a_key_is_that_of_one_sender_and_one_receiver(self, store):
        messages = [
            a_request(idempotency_key="k"),
            a_request(idempotency_key="k", sender="ada"),
            a_request(idempotency_key="k", agent="other"),
            a_request(idempotency_key="another"),
            a_request(),
            a_request(),
        ]
        for message in messages:
            assert await add(store, message) == message
        assert len(await accepted_for(store, "helper") + await accepted_for(store, "other")) == len(messages)

    async def test_of_many_at_once_with_one_key_one_is_stored(self, store):
        messages = [a_request(str(number), idempotency_key="k") for number in range(50)]
        stored = await asyncio.gather(*(add(store, message) for message in messages))
        assert (
            {one.id for one in stored}
            == {one.message.id for one in await accepted_for(store, "helper")}
            == {messages[0].id}
        )

    async def test_a_key_is_free_again_once_its_message_is_erased(self, store):
        first, second = a_request("first", idempotency_key="k"), a_request("second", idempotency_key="k")
        await add(store, first)
        await settle(store, first.id, MessageState.SETTLED, an_answer(first))
        await store.erase(conversation_id="user:helper")
        assert await add(store, second) == second

    async def test_many_at_once_are_all_stored_and_counted(self, store):
        messages = [a_request(str(number), conversation_id=f"c{number % 7}") for number in range(210)]
        await asyncio.gather(*(add(store, message) for message in messages))
        assert all(store.find(message.id) == accepted(message) for message in messages)
        assert [store.conversation(f"c{number}").messages for number in range(7)] == [30] * 7

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param("a\0b", id="nul"),
            pytest.param("👩‍👩‍👧‍👦 naïve ﷽ \u202eabc", id="unicode"),
            pytest.param("\r\n\t\x1b[31m\x7f", id="control"),
            pytest.param("\u2028\u2029\ufeff\uffff", id="separators"),
            pytest.param("'; DROP TABLE messages; --", id="sql"),
            pytest.param('{"text": "\\"}', id="json"),
            pytest.param("%s {} {where} ?", id="format"),
            pytest.param("ß" * 10_000_000, id="long"),
        ],
    )
    async def test_any_text_comes_back_as_it_was(self, store, text):
        # Of the long one its beginning, as a name; where names end is not the store's to say.
        name = text[:200]
        request = a_request(text, id=f"m{name}", agent=f"helper{name}", conversation_id=f"c{name}")
        reply = an_answer(request, text)
        await add(store, request)
        await settle(store, request.id, MessageState.SETTLED, reply)
        assert store.find(request.id).message == request
        assert store.history(f"c{name}", f"helper{name}", 1) == [Exchange(request, reply)]
        assert store.conversation(f"c{name}").agent == f"helper{name}"
        assert await store.erase(agent=f"helper{name}") == 2


class TestBegin:
    async def test_it_counts_deliveries(self, store):
        message = a_request()
        await add(store, message)
        assert [await store.begin(message.id) for _ in range(3)] == [1, 2, 3]
        assert await accepted_for(store, "helper") == [accepted(message, attempts=3)]

    async def test_there_is_nothing_to_begin_where_nothing_is_stored(self, store):
        with pytest.raises(CaxtonError) as failure:
            await store.begin("nothing")
        assert failure.value.code is Code.MESSAGE_NOT_FOUND
        assert "'nothing'" in failure.value.message


class TestSettle:
    @pytest.mark.parametrize("state", [MessageState.SETTLED, MessageState.FAILED])
    async def test_it_stores_the_end_and_the_reply(self, store, state):
        request = a_request()
        reply = an_answer(request)
        await add(store, request)
        assert store.reply_to(request.id) is None
        await settle(store, request.id, state, reply)
        assert store.find(request.id).state is state
        assert store.find(reply.id).state is MessageState.SETTLED
        assert store.reply_to(request.id) == reply

    async def test_it_needs_no_reply(self, store):
        request = a_request()
        await add(store, request)
        await settle(store, request.id, MessageState.FAILED, None)
        assert store.find(request.id).state is MessageState.FAILED
        assert store.reply_to(request.id) is None

    async def test_the_first_end_is_the_one_that_counts(self, store):
        done = await exchange(store)
        late = a_refusal(done.request)
        await settle(store, done.request.id, MessageState.FAILED, late)
        assert store.find(done.request.id).state is MessageState.SETTLED
        assert store.reply_to(done.request.id) == done.reply
        assert store.find(late.id) is None
        assert store.conversation("user:helper").messages == 2

    async def test_of_ends_at_once_one_counts(self, store):
        request = a_request()
        await add(store, request)
        replies = [an_answer(request, str(number)) for number in range(20)]
        await asyncio.gather(*(settle(store, request.id, MessageState.SETTLED, reply) for reply in replies))
        assert sum(store.find(reply.id) is not None for reply in replies) == 1
        assert store.conversation("user:helper").messages == 2

    async def test_what_is_not_stored_gets_no_reply(self, store):
        request = a_request()
        reply = an_answer(request)
        await settle(store, request.id, MessageState.SETTLED, reply)
        assert store.find(reply.id) is None
        assert store.conversation("user:helper") is None


class TestAccepted:
    async def test_it_is_what_is_not_settled_oldest_first(self, store):
        waiting = [a_request(text) for text in ("one", "two", "three", "four")]
        for message in waiting:
            await add(store, message)
            await exchange(store)
        await settle(store, waiting[1].id, MessageState.SETTLED, an_answer(waiting[1]))
        await settle(store, waiting[2].id, MessageState.FAILED, a_refusal(waiting[2]))
        assert texts(await accepted_for(store, "helper")) == ["one", "four"]
        await add(store, a_request("five", agent="other"))
        assert texts(await accepted_for(store, "helper")) == ["one", "four"]
        assert texts(await accepted_for(store, "other")) == ["five"]
        assert await accepted_for(store, "nobody") == []

    async def test_a_new_store_has_nothing_waiting(self, store):
        assert await accepted_for(store, "helper") == []


class TestHistory:
    async def test_it_has_the_newest_turns_in_the_order_of_the_talk(self, store):
        talk = [await exchange(store, str(number)) for number in range(5)]
        assert store.history("user:helper", "helper", 3) == talk[2:]
        assert store.history("user:helper", "helper", 50) == talk
        assert store.history("user:helper", "helper", 0) == []

    async def test_the_order_is_that_of_the_answers(self, store):
        first, second = a_request("first"), a_request("second")
        for request in (first, second):
            await add(store, request)
        for request in (second, first):
            await settle(store, request.id, MessageState.SETTLED, an_answer(request))
        assert [turn.request.text for turn in store.history("user:helper", "helper", 9)] == ["second", "first"]

    async def test_what_failed_or_waits_was_never_said(self, store):
        said = [await exchange(store, "before")]
        failed, silent, waiting = a_request("failed"), a_request("silent"), a_request("waiting")
        for request in (failed, silent, waiting):
            await add(store, request)
        await settle(store, failed.id, MessageState.FAILED, a_refusal(failed))
        await settle(store, silent.id, MessageState.SETTLED, None)
        said.append(await exchange(store, "after"))
        assert store.history("user:helper", "helper", 9) == said

    async def test_a_talk_with_another_agent_or_in_another_conversation_is_not_in_it(self, store):
        mine = await exchange(store, "mine", conversation_id="shared")
        other = await exchange(store, "other agent", agent="other", conversation_id="shared")
        await exchange(store, "other conversation", conversation_id="another")
        assert store.history("shared", "helper", 9) == [mine]
        assert store.history("shared", "other", 9) == [other]
        assert store.history("shared", "nobody", 9) == []
        assert store.history("nothing", "helper", 9) == []


class TestMessages:
    async def test_they_come_newest_first_by_agent_and_conversation(self, store):
        await exchange(store, "a", agent="helper", conversation_id="one")
        await exchange(store, "b", agent="helper", conversation_id="two")
        await exchange(store, "c", agent="other", conversation_id="one")
        await add(store, a_request("d", agent="helper", conversation_id="one"))

        async def listed(agent: str | None = None, conversation_id: str | None = None) -> list[str]:
            return texts(await store.messages(agent=agent, conversation_id=conversation_id, limit=50))

        assert await listed() == ["d", "re: c", "c", "re: b", "b", "re: a", "a"]
        assert await listed("helper") == ["d", "re: b", "b", "re: a", "a"]
        assert await listed("other") == ["re: c", "c"]
        assert await listed(conversation_id="one") == ["d", "re: c", "c", "re: a", "a"]
        assert await listed("helper", "one") == ["d", "re: a", "a"]
        assert await listed("other", "two") == []
        assert await listed("user") == []

    async def test_pages_have_every_message_once(self, store):
        for number in range(5):
            await exchange(store, str(number))
            await exchange(store, "elsewhere", agent="other")
        seen: list[str] = []
        before = None
        while page := await store.messages(agent="helper", conversation_id=None, limit=3, before=before):
            assert len(page) <= 3
            seen += texts(page)
            before = page[-1].message.id
        assert seen == ["re: 4", "4", "re: 3", "3", "re: 2", "2", "re: 1", "1", "re: 0", "0"]

    async def test_nothing_comes_before_a_message_that_is_not_there(self, store):
        await exchange(store)
        assert await store.messages(agent=None, conversation_id=None, limit=9, before="nothing") == []


class TestConversations:
    async def test_a_conversation_is_named_by_its_first_agent_and_counted(self, store):
        first = await exchange(store, conversation_id="c")
        last = await exchange(store, agent="other", conversation_id="c")
        assert store.conversation("c") == Conversation(
            id="c",
            agent="helper",
            messages=4,
            created_at=first.request.created_at,
            updated_at=last.reply.created_at,
        )

    async def test_one_that_is_not_there_is_not_found(self, store):
        assert store.conversation("nothing") is None

    async def test_the_last_active_comes_first_in_pages(self, store):
        for conversation in ("a", "b", "c", "d"):
            await exchange(store, conversation_id=conversation)
        await exchange(store, agent="other", conversation_id="of other")
        await exchange(store, conversation_id="b")
        everything = await store.conversations(agent=None, limit=9)
        assert [one.id for one in everything] == ["b", "of other", "d", "c", "a"]
        first = await store.conversations(agent="helper", limit=3)
        second = await store.conversations(agent="helper", limit=3, before=first[-1].id)
        assert [one.id for one in first + second] == ["b", "d", "c", "a"]
        assert first[0] == store.conversation("b")
        assert await store.conversations(agent="helper", limit=3, before=second[-1].id) == []
        assert await store.conversations(agent="helper", limit=3, before="nothing") == []

    async def test_the_order_does_not_depend_on_the_clock(self, store):
        for conversation, at in (("a", 5.0), ("b", 5.0), ("c", 4.0)):
            await add(store, a_request(conversation_id=conversation, created_at=at))
        assert [one.id for one in await store.conversations(agent=None, limit=9)] == ["c", "b", "a"]


class TestErase:
    async def test_a_conversation_goes_with_its_messages(self, store):
        gone = await exchange(store, conversation_id="gone")
        kept = await exchange(store, conversation_id="kept")
        assert await store.erase(conversation_id="gone") == 2
        assert store.conversation("gone") is None
        assert store.find(gone.request.id) is None
        assert store.reply_to(gone.request.id) is None
        assert store.history("gone", "helper", 9) == []
        assert store.history("kept", "helper", 9) == [kept]
        assert [one.id for one in await store.conversations(agent=None, limit=9)] == ["kept"]

    async def test_what_waits_for_delivery_stays_and_is_still_answered(self, store):
        await exchange(store, "old")
        waiting = a_request("waiting")
        await add(store, waiting)
        assert await store.erase(conversation_id="user:helper") == 2
        assert await accepted_for(store, "helper") == [accepted(waiting)]
        assert store.conversation("user:helper").messages == 1
        reply = an_answer(waiting)
        await settle(store, waiting.id, MessageState.SETTLED, reply)
        assert store.history("user:helper", "helper", 9) == [Exchange(waiting, reply)]
        assert store.conversation("user:helper").messages == 2

    async def test_all_of_an_agents_messages_go_and_those_of_others_stay(self, store):
        await exchange(store, "mine", conversation_id="shared")
        other = await exchange(store, "its", agent="other", conversation_id="shared")
        await exchange(store, "mine", conversation_id="alone")
        assert await store.erase(agent="helper") == 4
        assert store.history("shared", "other", 9) == [other]
        assert store.conversation("alone") is None
        shared = store.conversation("shared")
        assert (shared.agent, shared.messages) == ("other", 2)
        assert await store.conversations(agent="helper", limit=9) == []
        assert await store.conversations(agent="other", limit=9) == [shared]

    async def test_a_talk_that_loses_its_end_goes_back_to_where_the_rest_of_it_belongs(self, store):
        waiting = a_request(conversation_id="old")
        await add(store, waiting)
        await exchange(store, conversation_id="middle")
        await exchange(store, conversation_id="old")
        await store.erase(conversation_id="old")
        await exchange(store, conversation_id="new")
        everything = await store.conversations(agent=None, limit=9)
        assert [one.id for one in everything] == ["new", "middle", "old"]
        paged = [await store.conversations(agent=None, limit=1, before=before) for before in (None, "new", "middle")]
        assert [one.id for page in paged for one in page] == ["new", "middle", "old"]

    async def test_erasing_what_is_not_there_erases_nothing(self, store):
        kept = await exchange(store)
        assert await store.erase(conversation_id="nothing") == 0
        assert await store.erase(agent="nobody") == 0
        assert store.history("user:helper", "helper", 9) == [kept]


class TestSummaries:
    def summary(self, text: str = "They met.", conversation: str = "c", agent: str = "helper") -> Summary:
        return Summary(conversation_id=conversation, agent=agent, text=text, upto="m1", created_at=1.5)

    async def test_there_is_none_at_first(self, store):
        assert store.summary("c", "helper") is None

    async def test_of_a_conversation_that_is_not_there_none_is_kept(self, store):
        await store.summarize(self.summary())
        assert store.summary("c", "helper") is None

    async def test_the_newest_takes_the_place_of_the_one_before(self, store):
        await exchange(store, conversation_id="c")
        await store.summarize(self.summary("They met."))
        await store.summarize(self.summary("They met and parted."))
        assert store.summary("c", "helper") == self.summary("They met and parted.")

    async def test_each_conversation_and_each_agent_has_its_own(self, store):
        for conversation, agent in (("c", "helper"), ("d", "helper"), ("c", "other")):
            await exchange(store, agent=agent, conversation_id=conversation)
            await store.summarize(self.summary(f"{conversation} {agent}", conversation, agent))
        assert store.summary("d", "helper").text == "d helper"
        assert store.summary("c", "other").text == "c other"

    @pytest.mark.parametrize(
        ("erased", "left"),
        [
            ({"conversation_id": "c"}, {("d", "helper")}),
            ({"agent": "helper"}, {("c", "other")}),
            ({"conversation_id": "c", "agent": "other"}, {("c", "helper"), ("d", "helper")}),
        ],
    )
    async def test_what_is_erased_is_in_no_summary_either(self, store, erased, left):
        places = {("c", "helper"), ("d", "helper"), ("c", "other")}
        for conversation, agent in places:
            await exchange(store, agent=agent, conversation_id=conversation)
            await store.summarize(self.summary("x", conversation, agent))
        await store.erase(**erased)
        assert {place for place in places if store.summary(*place)} == left


class TestPeople:
    async def test_of_a_stranger_there_is_nothing(self, store):
        await exchange(store)
        assert await store.taken_part("zoe") == []
        erased = await store.forget("zoe")
        assert (erased.conversations, erased.messages, erased.waiting) == ((), 0, 0)
        assert store.conversation("user:helper").messages == 2

    async def test_the_conversations_of_a_person_are_found_last_active_first(self, store):
        for conversation, sender in (("a", "zoe"), ("b", "user"), ("c", "zoe"), ("a", "user")):
            await exchange(store, sender=sender, conversation_id=conversation)
        assert [one.id for one in await store.taken_part("zoe")] == ["a", "c"]
        assert [one.messages for one in await store.taken_part("zoe")] == [4, 2]

    async def test_an_agent_has_taken_part_where_it_asked_and_not_where_it_answered(self, store):
        await exchange(store, conversation_id="a")
        await exchange(store, agent="other", sender="helper", conversation_id="b")
        assert [one.id for one in await store.taken_part("helper")] == ["b"]

    async def test_they_are_forgotten_whole_and_those_of_others_stay(self, store):
        first = await exchange(store, sender="zoe", conversation_id="a")
        await exchange(store, "from another", conversation_id="a")
        kept = await exchange(store, conversation_id="b")
        for conversation in "ab":
            await store.summarize(
                Summary(conversation_id=conversation, agent="helper", text="x", upto="m1", created_at=1.5)
            )
        erased = await store.forget("zoe")
        assert (erased.conversations, erased.messages, erased.waiting) == (("a",), 4, 0)
        assert (store.conversation("a"), store.find(first.request.id), store.summary("a", "helper")) == (None,) * 3
        assert store.history("b", "helper", 9) == [kept]
        assert store.summary("b", "helper").text == "x"
        assert await store.taken_part("zoe") == []
        assert [one.id for one in await store.conversations(agent=None, limit=9)] == ["b"]

    async def test_what_waits_for_its_reply_goes_too_and_the_reply_is_not_kept(self, store):
        request = a_request("Hello", sender="zoe", idempotency_key="k")
        await add(store, request)
        erased = await store.forget("zoe")
        assert (erased.messages, erased.waiting) == (1, 1)
        await settle(store, request.id, MessageState.SETTLED, an_answer(request))
        assert store.reply_to(request.id) is None
        assert await accepted_for(store, "helper") == []
        assert store.keyed(receiver="helper", sender="zoe", key="k") is None

    @pytest.mark.parametrize("name", ["Zoë 👋", "'; DROP TABLE messages; --", '"quoted"', "a%", ""])
    async def test_a_name_is_taken_as_it_is(self, store, name):
        await exchange(store, sender=name, conversation_id="a")
        await exchange(store, sender="someone", conversation_id="b")
        assert (await store.forget(name)).conversations == ("a",)
