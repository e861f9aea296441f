"""What every store of messages on their way has to do. A new backend is one more id of the fixture `store`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.messages import a_refusal, a_request, accepted, an_answer, texts
from support.stores import accepted_for, add, settle

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.delivery import Bury, Claimed, DeadLetter, Failure, Remember, Retry, Send, Settle
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import Message, MessageState
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryMessageStore

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteMessageStore]:
    if request.param == "memory":
        yield MemoryMessageStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteMessageStore(database)


def a_failure(attempt: int = 1, at: float = 5.0, code: Code = Code.PROVIDER_TIMEOUT) -> Failure:
    return Failure(
        attempt=attempt, at=at, error=ErrorReport(code=code, message=f"Attempt {attempt} failed.", why="So.")
    )


async def buried(store, *, at: float = 5.0, code: Code = Code.PROVIDER_TIMEOUT, **fields):
    message = a_request(**fields)
    await store.append([message])
    await store.commit([Bury(message_id=message.id, failure=a_failure(at=at, code=code))])
    return message


def ids(letters: list[DeadLetter]) -> list[str]:
    return [letter.message.id for letter in letters]


class TestAppend:
    async def test_a_batch_is_stored_in_its_order(self, store):
        messages = [a_request(str(number), conversation_id=f"c{number % 3}") for number in range(100)]
        assert await store.append(messages) == messages
        assert [one.message for one in await store.claim("helper", after=0, limit=1000)] == messages

    async def test_an_empty_batch_is_nothing(self, store):
        assert await store.append([]) == []
        assert store.last() == 0

    async def test_within_a_batch_the_first_with_a_key_or_an_id_counts(self, store):
        first = a_request("first", id="m1", idempotency_key="k")
        same_key = a_request("second", idempotency_key="k")
        same_id = a_request("third", id="m1")
        other = a_request("other")
        held = await store.append([first, same_key, same_id, other])
        assert held == [first, first, first, other]
        assert [one is given for one, given in zip(held, [first, same_key, same_id, other], strict=True)] == [
            True,
            False,
            False,
            True,
        ]
        [again] = await store.append([first])
        assert again == first
        assert again is not first
        assert texts(await accepted_for(store, "helper")) == ["first", "other"]
        assert store.conversation("user:helper").messages == 2

    async def test_one_who_repeats_a_message_for_a_capability_is_recognised_whoever_got_it(self, store):
        first = a_request(idempotency_key="k", addressed="capability:charts")
        again = a_request(idempotency_key="k", addressed="capability:charts", agent="other")
        assert await store.append([first, again]) == [first, first]
        assert store.keyed(receiver="capability:charts", sender="user", key="k") == first
        assert store.keyed(receiver="helper", sender="user", key="k") is None

    async def test_what_is_for_a_group_is_one_message_for_each_with_the_same_key(self, store):
        copies = [a_request(idempotency_key="k", addressed="group:g", agent=name) for name in ("helper", "other")]
        assert await store.append(copies) == copies
        assert store.keyed(receiver="other", sender="user", key="k") == copies[1]

    async def test_batches_at_once_do_not_mix(self, store):
        batches = [[a_request(f"{batch}.{number}") for number in range(20)] for batch in range(20)]
        await asyncio.gather(*(store.append(batch) for batch in batches))
        stored = texts(await accepted_for(store, "helper"))
        starts = range(0, 400, 20)
        assert sorted(stored[at : at + 20] for at in starts) == sorted([one.text for one in batch] for batch in batches)

    async def test_a_conversation_counts_and_dates_what_came(self, store):
        messages = [a_request(conversation_id="c") for _ in range(3)]
        await store.append(messages[:2])
        assert store.conversation("c").messages == 2
        assert [one.messages for one in await store.conversations(agent=None, limit=9)] == [2]
        await store.append(messages[2:])
        talk = store.conversation("c")
        assert (talk.messages, talk.created_at, talk.updated_at) == (
            3,
            messages[0].created_at,
            messages[2].created_at,
        )
        assert await store.conversations(agent=None, limit=9) == [talk]


class TestCommit:
    async def test_all_changes_are_made_in_their_order(self, store):
        request, failing, dying = a_request("a"), a_request("b"), a_request("c")
        await store.append([request, failing, dying])
        sent, reply = a_request("sent", agent="other"), an_answer(request)
        await store.commit(
            [
                Send(sent),
                Settle(message_id=request.id, state=MessageState.SETTLED, reply=reply),
                Retry(message_id=failing.id, failure=a_failure(), at=9.0),
                Bury(message_id=dying.id, failure=a_failure(2)),
                Remember(agent="helper", key="cursor", value={"page": 3}),
            ]
        )
        assert [store.find(one.id).state for one in (request, reply, failing, dying, sent)] == [
            MessageState.SETTLED,
            MessageState.SETTLED,
            MessageState.ACCEPTED,
            MessageState.DEAD,
            MessageState.ACCEPTED,
        ]
        assert store.recall("helper", "cursor") == {"page": 3}
        assert store.reply_to(request.id) == reply
        assert texts(await accepted_for(store, "other")) == ["sent"]

    async def test_nothing_is_nothing(self, store):
        await store.commit([])
        assert store.last() == 0

    async def test_a_reply_that_is_to_be_delivered_waits_for_its_receiver(self, store):
        request = a_request(sender="planner")
        await store.append([request])
        reply = an_answer(request)
        await store.commit([Settle(message_id=request.id, state=MessageState.SETTLED, reply=reply, deliver=True)])
        assert await accepted_for(store, "planner") == [accepted(reply)]
        assert await accepted_for(store, "helper") == []
        assert texts(await store.messages(agent="helper", conversation_id=None, limit=9)) == ["Hi", "Hello"]
        assert texts(await store.messages(agent="planner", conversation_id=None, limit=9)) == []
        assert store.history(request.conversation_id, "helper", 9)[0].reply == reply
        await settle(store, reply.id, MessageState.SETTLED, None)
        assert await store.receivers() == {}

    async def test_of_two_ends_in_one_commit_the_first_counts(self, store):
        request = a_request()
        await store.append([request])
        first, second = an_answer(request, "first"), an_answer(request, "second")
        await store.commit(
            [
                Settle(message_id=request.id, state=MessageState.SETTLED, reply=first),
                Settle(message_id=request.id, state=MessageState.FAILED, reply=second),
                Bury(message_id=request.id, failure=a_failure()),
            ]
        )
        assert store.find(request.id).state is MessageState.SETTLED
        assert (store.reply_to(request.id), store.find(second.id)) == (first, None)

    async def test_what_is_sent_may_end_in_the_same_commit(self, store):
        request = a_request()
        reply = an_answer(request)
        await store.commit(
            [Send(request), Settle(message_id=request.id, state=MessageState.SETTLED, reply=reply), Send(request)]
        )
        assert store.find(request.id).state is MessageState.SETTLED
        assert store.reply_to(request.id) == reply
        assert store.conversation(request.conversation_id).messages == 2

    async def test_many_at_once_are_each_made(self, store):
        requests = [a_request(str(number), conversation_id=f"c{number % 5}") for number in range(200)]
        await store.append(requests)
        ends = [
            Settle(message_id=one.id, state=MessageState.SETTLED, reply=an_answer(one, f"re: {one.text}"))
            for one in requests
        ]
        await asyncio.gather(*(store.commit([end]) for end in ends))
        assert [store.reply_to(one.id).text for one in requests] == [f"re: {one.text}" for one in requests]
        assert [store.conversation(f"c{number}").messages for number in range(5)] == [80] * 5

    async def test_one_whose_waiter_is_cancelled_is_made_all_the_same(self, store):
        request = a_request()
        await store.append([request])
        settling = asyncio.ensure_future(settle(store, request.id, MessageState.SETTLED, None))
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.wait([settling])
        await store.commit([])  # after it, in the order in which they were given
        assert store.find(request.id).state is MessageState.SETTLED


class TestRetry:
    async def test_a_failed_attempt_is_kept_and_the_message_waits(self, store):
        message = a_request()
        await store.append([message])
        await store.begin(message.id)
        failures = (a_failure(1), a_failure(2, at=7.0, code=Code.INTERNAL))
        await store.commit([Retry(message_id=message.id, failure=failures[0], at=6.0)])
        await store.commit([Retry(message_id=message.id, failure=failures[1], at=9.5)])
        (claimed,) = await store.claim("helper", after=0, limit=9)
        assert claimed == Claimed(seq=claimed.seq, message=message, attempts=1, not_before=9.5, failures=failures)

    async def test_what_is_not_accepted_is_left_as_it_is(self, store):
        message = a_request()
        await store.append([message])
        await settle(store, message.id, MessageState.SETTLED, None)
        await store.commit(
            [
                Retry(message_id=message.id, failure=a_failure(), at=6.0),
                Retry(message_id="nothing", failure=a_failure(), at=6.0),
                Bury(message_id=message.id, failure=a_failure(), reply=an_answer(message)),
                Bury(message_id="nothing", failure=a_failure()),
            ]
        )
        assert store.find(message.id).state is MessageState.SETTLED
        assert store.reply_to(message.id) is None
        assert await store.dead_letters(limit=9) == []


class TestClaim:
    async def test_it_goes_on_after_a_number(self, store):
        messages = [a_request(str(number)) for number in range(7)]
        await store.append(messages)
        await store.append([a_request(agent="other")])
        seen, after = [], 0
        while page := await store.claim("helper", after=after, limit=3):
            assert len(page) <= 3
            seen += [one.message for one in page]
            after = page[-1].seq
        assert seen == messages
        assert after < store.last()

    async def test_a_number_is_given_once_even_where_its_message_is_gone(self, store):
        message = a_request()
        await store.append([message])
        last = store.last()
        await settle(store, message.id, MessageState.SETTLED, None)
        await store.erase(agent="helper")
        await store.append([a_request("next")])
        assert [one.message.text for one in await store.claim("helper", after=last, limit=9)] == ["next"]

    async def test_who_waits_is_counted(self, store):
        messages = [a_request(), a_request(), a_request(agent="other")]
        await store.append(messages)
        assert await store.receivers() == {"helper": 2, "other": 1}
        assert [await store.waiting(name) for name in ("helper", "other", "nobody")] == [2, 1, 0]
        await settle(store, messages[2].id, MessageState.SETTLED, None)
        assert await store.receivers() == {"helper": 2}


class TestState:
    @pytest.mark.parametrize("value", [0, 1.5, "", "x", True, [], {"a": [1, None]}, 2**70, "👋\0"])
    async def test_a_value_comes_back_as_it_was(self, store, value):
        await store.commit([Remember(agent="helper", key="k", value=value)])
        assert store.recall("helper", "k") == value
        assert store.recall("helper", "other") is None
        assert store.recall("other", "k") is None

    async def test_the_last_value_counts_and_none_removes_it(self, store):
        await store.commit([Remember(agent="a", key="k", value=1), Remember(agent="a", key="k", value=2)])
        assert store.recall("a", "k") == 2
        await store.commit([Remember(agent="a", key="k", value=None), Remember(agent="a", key="j", value=None)])
        assert store.recall("a", "k") is None

    async def test_it_goes_with_all_of_the_agents_messages(self, store):
        await store.commit([Remember(agent=name, key="k", value=1) for name in ("helper", "other")])
        await store.erase(agent="helper", conversation_id="c")
        assert store.recall("helper", "k") == 1
        await store.erase(agent="helper")
        assert (store.recall("helper", "k"), store.recall("other", "k")) == (None, 1)


class TestTraces:
    async def test_a_trace_has_all_that_one_message_led_to(self, store):
        def traced(text: str, **fields):
            return a_request(text, trace=f"00-{TRACE}-00f067aa0ba902b7-01", **fields)

        first, second = traced("first"), traced("second", agent="other", conversation_id="else", sender="helper")
        await store.append([first, a_request("unrelated"), second])
        await settle(store, first.id, MessageState.SETTLED, an_answer(first, "done", trace=first.trace))
        assert texts(await store.traced(TRACE, limit=9)) == ["first", "second", "done"]
        assert texts(await store.traced(TRACE, limit=2)) == ["first", "second"]
        assert await store.traced("0" * 32, limit=9) == []

    async def test_who_is_forgotten_is_forgotten_in_what_was_asked_of_others_on_his_behalf(self, store):
        trace = f"00-{TRACE}-00f067aa0ba902b7-01"
        first = a_request("Zoe's", sender="zoe", conversation_id="zoe", trace=trace)
        asked = a_request("for Zoe", sender="helper", agent="other", conversation_id="agents", trace=trace)
        waits = a_request("for Zoe too", sender="other", agent="third", conversation_id="agents", trace=trace)
        kept = a_request("for Ada", sender="helper", agent="other", conversation_id="agents")
        await store.append([first, asked, waits, kept])
        await settle(store, asked.id, MessageState.SETTLED, an_answer(asked, trace=trace))
        erased = await store.forget("zoe")
        assert (erased.conversations, erased.messages, erased.waiting) == (("zoe",), 4, 2)
        assert texts(await store.messages(agent=None, conversation_id=None, limit=9)) == ["for Ada"]
        assert [(one.id, one.messages) for one in await store.conversations(agent=None, limit=9)] == [("agents", 1)]


class TestDeadLetters:
    async def test_one_has_its_message_and_every_failure(self, store):
        message = a_request()
        await store.append([message])
        await store.commit([Retry(message_id=message.id, failure=a_failure(1), at=6.0)])
        reply = a_refusal(message)
        await store.commit([Bury(message_id=message.id, failure=a_failure(2, at=8.5), reply=reply)])
        letter = DeadLetter(message=message, failures=(a_failure(1), a_failure(2, at=8.5)), died_at=8.5)
        assert store.dead_letter(message.id) == letter
        assert letter.error == a_failure(2).error
        assert await store.dead_letters(limit=9) == [letter]
        assert store.reply_to(message.id) == reply
        assert await accepted_for(store, "helper") == []
        assert store.dead_letter("nothing") is None

    async def test_the_newest_come_first_in_pages_by_receiver_and_by_code(self, store):
        first = await buried(store, at=1.0)
        third = await buried(store, at=3.0, agent="other")
        second = await buried(store, at=2.0, code=Code.INTERNAL)
        same = await buried(store, at=3.0)

        async def listed(**wanted) -> list[str]:
            return ids(await store.dead_letters(**{"limit": 9, **wanted}))

        assert await listed() == [same.id, third.id, second.id, first.id]
        assert await listed(receiver="helper") == [same.id, second.id, first.id]
        assert await listed(code="provider_timeout", receiver="helper") == [same.id, first.id]
        assert await listed(limit=2) == [same.id, third.id]
        assert await listed(before=third.id) == [second.id, first.id]
        assert await listed(before="nothing") == []
        assert await listed(oldest=True) == [first.id, second.id, third.id, same.id]
        assert await listed(oldest=True, receiver="helper", limit=1) == [first.id]
        assert await listed(oldest=True, before=second.id) == [third.id, same.id]
        assert await store.death_counts() == {
            ("helper", "provider_timeout"): 2,
            ("helper", "internal"): 1,
            ("other", "provider_timeout"): 1,
        }

    async def test_revived_ones_wait_again_as_if_they_were_new(self, store):
        first = await buried(store, reply_by=4.0, idempotency_key="k")
        second = await buried(store)
        later = a_request("later")
        await store.append([later])
        last = store.last()
        revived = await store.revive([second.id, "nothing", first.id, later.id])
        assert revived == [msgspec.structs.replace(first, reply_by=None), second]
        claimed = await store.claim("helper", after=last, limit=9)
        assert [(one.message, one.attempts, one.not_before, one.failures) for one in claimed] == [
            (one, 0, None, ()) for one in revived
        ]
        assert texts(await accepted_for(store, "helper"))[0] == "later"
        assert await store.dead_letters(limit=9) == []
        assert store.keyed(receiver="helper", sender="user", key="k") == revived[0]
        assert store.conversation("user:helper").messages == 3

    async def test_a_revived_one_is_answered_anew(self, store):
        message = a_request()
        await store.append([message])
        await store.commit([Bury(message_id=message.id, failure=a_failure(), reply=a_refusal(message))])
        await store.revive([message.id])
        assert store.reply_to(message.id) is None
        answer = an_answer(message, "at last")
        await settle(store, message.id, MessageState.SETTLED, answer)
        assert store.reply_to(message.id) == answer

    async def test_a_redirected_one_is_for_another(self, store):
        message = await buried(store)
        (moved,) = await store.revive([message.id], receiver="other")
        assert (moved.receiver, moved.addressed, moved.id) == ("other", "helper", message.id)
        assert await store.receivers() == {"other": 1}
        assert store.conversation("user:helper").agent == "other"
        assert texts(await store.messages(agent="other", conversation_id=None, limit=9)) == ["Hello"]
        await settle(store, message.id, MessageState.SETTLED, an_answer(moved))
        assert store.history("user:helper", "other", 9)[0].request == moved

    async def test_who_repeats_a_redirected_one_is_recognised(self, store):
        message = await buried(store, idempotency_key="k")
        (moved,) = await store.revive([message.id], receiver="other")
        again = a_request(idempotency_key="k")
        assert await add(store, again) == moved
        to_the_other = a_request(idempotency_key="k", agent="other")
        assert await add(store, to_the_other) == to_the_other

    @pytest.mark.parametrize(
        ("which", "left"),
        [
            ({}, []),
            ({"before": 2.0}, [3.0, 2.0]),
            ({"ids": [1, 2]}, [1.0]),
            ({"ids": [0, 2], "before": 3.0}, [3.0, 2.0]),
        ],
        ids=["all", "old", "named", "named and old"],
    )
    async def test_they_are_purged_by_name_or_age(self, store, which, left):
        dead = [await buried(store, at=at) for at in (1.0, 2.0, 3.0)]
        kept = a_request()
        await store.append([kept])
        named = [dead[number].id for number in which["ids"]] + [kept.id, "nothing"] if "ids" in which else None
        assert await store.purge(before=which.get("before"), message_ids=named) == 3 - len(left)
        assert [letter.died_at for letter in await store.dead_letters(limit=9)] == left
        assert store.conversation("user:helper").messages == len(left) + 1

    async def test_many_are_purged(self, store):
        messages = [a_request(conversation_id=f"c{number % 3}") for number in range(2500)]
        await store.append(messages)
        await store.commit([Bury(message_id=one.id, failure=a_failure()) for one in messages])
        assert await store.purge() == 2500
        assert await store.conversations(agent=None, limit=9) == []


class TestKeeper:
    async def test_what_is_overdue_is_buried(self, store):
        late, in_time, always = a_request(reply_by=10.0), a_request(reply_by=11.0), a_request()
        await store.append([late, in_time, always])
        await store.begin(late.id)
        assert await store.expire(10.0, unclaimed_before=None, running=(), limit=9) == [late]
        (letter,) = await store.dead_letters(limit=9)
        assert (letter.message, letter.died_at, letter.error.code) == (late, 10.0, Code.DEADLINE_PASSED)
        assert letter.failures[0].attempt == 1
        assert [one.message for one in await accepted_for(store, "helper")] == [in_time, always]

    async def test_what_nobody_takes_up_is_buried(self, store):
        old, failed, new = (a_request(created_at=at) for at in (1.0, 1.0, 5.0))
        await store.append([old, failed, new])
        await store.commit([Retry(message_id=failed.id, failure=a_failure(), at=99.0)])
        assert await store.expire(100.0, unclaimed_before=5.0, running=(), limit=9) == [old, failed]
        assert store.dead_letter(old.id).error.code is Code.AGENT_NOT_RUNNING
        assert len(store.dead_letter(failed.id).failures) == 2

    async def test_what_is_for_one_who_runs_is_his_to_deal_with(self, store):
        messages = [a_request(agent=name, created_at=1.0, reply_by=2.0) for name in ("helper", "other", "third")]
        await store.append(messages)
        assert await store.expire(9.0, unclaimed_before=5.0, running=["helper", "third"], limit=9) == [messages[1]]

    async def test_no_more_than_the_limit_expire_at_once(self, store):
        late = [a_request(reply_by=float(number)) for number in range(5)]
        old = [a_request(created_at=1.0) for _ in range(5)]
        await store.append(late + old)

        async def expired(limit: int) -> list[Message]:
            return await store.expire(9.0, unclaimed_before=2.0, running=(), limit=limit)

        assert await expired(3) == late[:3]
        assert await expired(3) == late[3:] + old[:1]
        assert await expired(9) == old[1:]
        assert await expired(9) == []

    async def test_old_keys_are_forgotten_and_free_again(self, store):
        old, new = a_request(created_at=1.0, idempotency_key="a"), a_request(created_at=5.0, idempotency_key="b")
        await store.append([old, new])
        assert await store.forget_keys(5.0) == 1
        assert await store.forget_keys(5.0) == 0
        assert store.keyed(receiver="helper", sender="user", key="a") is None
        again = a_request("again", idempotency_key="a")
        assert await add(store, again) == again
        assert await add(store, a_request("again", idempotency_key="b")) == new

    async def test_what_is_done_may_be_archived_the_oldest_first(self, store):
        requests = [a_request(created_at=at) for at in (3.0, 1.0, 2.0, 9.0, 1.0)]
        await store.append(requests)
        for request in requests[:4]:
            await settle(store, request.id, MessageState.FAILED, None)
        dead = await buried(store, at=1.0, created_at=1.0)
        assert [one.message for one in await store.archivable(9.0, limit=9)] == [requests[at] for at in (1, 2, 0)]
        assert [one.message for one in await store.archivable(9.0, limit=2)] == [requests[1], requests[2]]
        assert [one.message for one in await store.archivable(9.0, limit=2, after=requests[2].id)] == [requests[0]]
        assert await store.archivable(9.0, limit=2, after="nothing") == []
        assert [one.message for one in await store.archivable(9.0, limit=9, dead=True)] == [dead]
        assert await store.archivable(1.0, limit=9, dead=True) == []

    async def test_what_is_dropped_is_gone_but_for_what_waits(self, store):
        waits = a_request(conversation_id="a")
        done, dead = a_request(conversation_id="a"), await buried(store, conversation_id="b")
        await store.append([waits, done])
        await settle(store, done.id, MessageState.SETTLED, an_answer(done))
        assert await store.drop([waits.id, done.id, dead.id, "nothing"]) == 2
        assert [store.find(one.id) is None for one in (waits, done, dead)] == [False, True, True]
        assert [(one.id, one.messages) for one in await store.conversations(agent=None, limit=9)] == [("a", 2)]


async def test_nothing_that_is_told_to_begin_is_unknown(store):
    with pytest.raises(CaxtonError) as failure:
        await store.begin("nothing")
    assert failure.value.code is Code.MESSAGE_NOT_FOUND
