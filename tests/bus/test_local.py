import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.messages import a_refusal, a_request, an_answer

from caxton.bus.local import LocalBus
from caxton.domain.bus_settings import BusSettings
from caxton.domain.delivery import Settle
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Durability, MessageState
from caxton.domain.turn import TextDelta, TurnEnded, TurnPostponed, TurnStarted
from caxton.testing.memory import MemoryMessageStore

DEADLINE = 5.0


class Box:
    """A mailbox that keeps what it is given, and refuses with `refusal`."""

    limit = 1000

    def __init__(self) -> None:
        self.refusal = None
        self.got = []
        self.again = []
        self.not_before = {}
        self.free = asyncio.Event()

    @property
    def depth(self):
        return self.limit if self.refusal else len(self.got)

    def holds(self, message_id):
        return any(message.id == message_id for message in (*self.got, *self.again))

    def admit(self, message):
        if self.refusal:
            raise self.refusal

    def put(self, message, *, again=False, not_before=None):
        (self.again if again else self.got).append(message)
        self.not_before[message.id] = not_before

    async def vacancy(self):
        await self.free.wait()


class SlowStore(MemoryMessageStore):
    """Takes a message in, and is not done with it before `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.storing = asyncio.Event()
        self.go_on = asyncio.Event()

    async def append(self, messages):
        stored = await super().append(messages)
        self.storing.set()
        await self.go_on.wait()
        return stored


@pytest.fixture
def store():
    return MemoryMessageStore()


@pytest.fixture
def bus(store):
    return LocalBus(store, BusSettings(patience=0.01))


@pytest.fixture
def box(bus):
    box = Box()
    bus.register("helper", box)
    return box


@pytest.fixture
def slow():
    """A bus on a store that takes its time, and the mailbox `helper` on it."""
    store = SlowStore()
    bus, box = LocalBus(store), Box()
    bus.register("helper", box)
    return bus, store, box


async def told(awaitable):
    with pytest.raises(CaxtonError) as caught:
        await awaitable
    return caught.value


async def asked(bus, box, request):
    """A task that waits for the reply to a request which is in the mailbox by now."""
    task = asyncio.create_task(bus.ask(request))
    async with asyncio.timeout(DEADLINE):
        while request.id not in [message.id for message in box.got]:
            await asyncio.sleep(0)
    return task


class TestSend:
    async def test_a_message_is_stored_before_it_is_delivered(self, bus, store, box):
        request = a_request()
        put = box.put

        def checks(message, **how):
            assert store.find(message.id)
            put(message, **how)

        box.put = checks
        await bus.send(request)
        assert box.got == [request]

    async def test_one_for_memory_is_delivered_without_the_store(self, bus, store, box):
        request = a_request(durability=Durability.MEMORY)
        await bus.send(request)
        assert box.got == [request]
        assert store.find(request.id) is None

    async def test_an_unknown_receiver_is_answered_with_the_nearest_and_nothing_is_stored(self, bus, store, box):
        error = await told(bus.send(a_request(agent="helpre")))
        assert error.code is Code.AGENT_NOT_FOUND
        assert "'helper'" in error.hint
        assert await store.waiting("helper") == 0

    @pytest.mark.parametrize(
        ("code", "durability"),
        [(Code.MAILBOX_FULL, Durability.MEMORY), (Code.AGENT_NOT_RUNNING, Durability.STORED)],
    )
    async def test_what_the_mailbox_does_not_admit_is_not_accepted(self, bus, store, box, code, durability):
        box.refusal = CaxtonError(code, "on purpose")
        assert (await told(bus.send(a_request(durability=durability)))).code is code
        assert box.got == []
        assert await store.waiting("helper") == 0

    async def test_what_the_store_refuses_is_not_delivered(self, bus, store, box):
        async def refuses(message):
            raise CaxtonError(Code.STORAGE_FAILED, "on purpose")

        store.append = refuses
        assert (await told(bus.send(a_request()))).code is Code.STORAGE_FAILED
        assert box.got == []

    async def test_an_agent_reloaded_meanwhile_has_it_in_its_new_mailbox(self, slow):
        bus, store, box = slow
        sending = asyncio.create_task(bus.send(a_request()))
        await store.storing.wait()
        new = Box()
        bus.register("helper", new)
        store.go_on.set()
        await sending
        assert (len(box.got), len(new.got)) == (0, 1)

    async def test_an_agent_gone_meanwhile_is_told_and_the_message_kept(self, slow):
        bus, store, box = slow
        asking = asyncio.create_task(bus.ask(a_request()))
        await store.storing.wait()
        bus.unregister("helper")
        store.go_on.set()
        assert (await told(asking)).code is Code.AGENT_NOT_FOUND
        assert await store.waiting("helper") == 1
        bus.register("helper", box)
        assert await bus.redeliver("helper") == 1
        assert len(box.again) == 1

    async def test_an_agent_stopped_meanwhile_is_told_and_the_message_kept(self, slow):
        bus, store, box = slow
        asking = asyncio.create_task(bus.ask(a_request()))
        await store.storing.wait()
        box.refusal = CaxtonError(Code.AGENT_NOT_RUNNING, "on purpose")
        store.go_on.set()
        assert (await told(asking)).code is Code.AGENT_NOT_RUNNING
        assert box.got == []
        assert await store.waiting("helper") == 1

    async def test_what_finds_the_mailbox_filled_meanwhile_waits_in_the_store(self, slow):
        bus, store, box = slow
        sending = asyncio.create_task(bus.send(a_request()))
        await store.storing.wait()
        box.refusal = CaxtonError(Code.MAILBOX_FULL, "on purpose")
        store.go_on.set()
        await sending
        assert box.got == []
        assert await store.waiting("helper") == 1

    async def test_a_sender_who_stops_waiting_has_it_delivered_all_the_same(self, slow):
        bus, store, box = slow
        sending = asyncio.create_task(bus.send(a_request()))
        await store.storing.wait()
        sending.cancel()
        await asyncio.wait([sending])
        assert sending.cancelled()
        store.go_on.set()
        await bus.finish()
        assert len(box.got) == 1


class TestAsk:
    async def test_the_reply_reaches_whoever_asked_and_is_stored_first(self, bus, store, box):
        request = a_request()
        asking = await asked(bus, box, request)
        answer = an_answer(request)
        await bus.settle(request, MessageState.SETTLED, answer)
        assert store.reply_to(request.id) == answer
        assert await asking == answer

    async def test_a_failure_is_a_reply_too(self, bus, box):
        request = a_request()
        asking = await asked(bus, box, request)
        await bus.settle(request, MessageState.FAILED, a_refusal(request))
        assert (await asking).performative == "failure"

    async def test_of_many_at_once_each_has_its_own(self, bus, box):
        requests = [a_request() for _ in range(100)]
        asking = [await asked(bus, box, request) for request in requests]
        answers = {request.id: an_answer(request, request.id) for request in requests}
        for request in reversed(requests):
            await bus.settle(request, MessageState.SETTLED, answers[request.id])
        assert await asyncio.gather(*asking) == [answers[request.id] for request in requests]

    async def test_a_postponed_request_is_told_and_stays_accepted(self, bus, store, box):
        request = a_request(awaited=True)
        asking = await asked(bus, box, request)
        bus.postpone(request, CaxtonError(Code.SERVER_STOPPING, "on purpose"))
        assert (await told(asking)).code is Code.SERVER_STOPPING
        assert [one.message for one in await store.claim("helper", after=0, limit=9)] == [request]

    async def test_a_reply_that_nobody_waits_for_any_more_is_stored(self, bus, store, box):
        request = a_request()
        asking = await asked(bus, box, request)
        asking.cancel()
        await asyncio.wait([asking])
        await bus.settle(request, MessageState.SETTLED, an_answer(request))
        bus.postpone(request, CaxtonError(Code.SERVER_STOPPING, "on purpose"))
        assert store.reply_to(request.id)

    async def test_settling_twice_keeps_the_first_reply(self, bus, store, box):
        request = a_request()
        asking = await asked(bus, box, request)
        first, second = an_answer(request), an_answer(request, "Another")
        await bus.settle(request, MessageState.SETTLED, first)
        await bus.settle(request, MessageState.SETTLED, second)
        assert await asking == first
        assert store.reply_to(request.id) == first

    async def test_a_store_that_fails_to_settle_tells_nobody_a_reply(self, bus, store, box):
        request = a_request()
        asking = await asked(bus, box, request)

        async def refuses(*_):
            raise CaxtonError(Code.STORAGE_FAILED, "on purpose")

        commit, store.commit = store.commit, refuses
        settling = asyncio.create_task(bus.settle(request, MessageState.SETTLED, an_answer(request)))
        assert (await told(asking)).code is Code.STORAGE_FAILED
        assert store.reply_to(request.id) is None
        store.commit = commit
        async with asyncio.timeout(DEADLINE):
            await settling
        assert store.reply_to(request.id).text == "Hi"

    async def test_one_for_memory_is_answered_without_the_store(self, bus, store, box):
        request = a_request(durability=Durability.MEMORY)
        asking = await asked(bus, box, request)
        await bus.settle(request, MessageState.SETTLED, an_answer(request))
        assert (await asking).text == "Hi"
        assert store.reply_to(request.id) is None


class TestIdempotencyKey:
    """One message with a key is delivered once, however often it is sent."""

    async def test_a_repeat_of_what_was_answered_has_the_reply_at_once(self, bus, box):
        first = a_request(awaited=True, idempotency_key="k")
        asking = await asked(bus, box, first)
        answer = an_answer(first)
        await bus.settle(first, MessageState.SETTLED, answer)
        box.refusal = CaxtonError(Code.AGENT_NOT_RUNNING, "on purpose")
        assert [await asking, await bus.ask(a_request(idempotency_key="k"))] == [answer, answer]
        assert (box.got, box.again) == ([first], [])

    async def test_the_failure_of_the_first_is_that_of_the_repeat(self, bus, box):
        first = a_request(idempotency_key="k")
        await bus.send(first)
        refusal = a_refusal(first)
        await bus.settle(first, MessageState.FAILED, refusal)
        assert await bus.ask(a_request(idempotency_key="k")) == refusal

    async def test_a_repeat_of_what_is_not_answered_yet_waits_with_the_first(self, bus, store, box):
        first = a_request(awaited=True, idempotency_key="k")
        asking = await asked(bus, box, first)
        repeat = asyncio.create_task(bus.ask(a_request(idempotency_key="k")))
        async with asyncio.timeout(DEADLINE):
            while not bus.followed(first.id):
                await asyncio.sleep(0)
        assert (box.got, box.again) == ([first], [])
        answer = an_answer(first)
        await bus.settle(first, MessageState.SETTLED, answer)
        assert await asyncio.gather(asking, repeat) == [answer, answer]
        assert len(await store.messages(agent="helper", conversation_id=None, limit=9)) == 2

    async def test_two_at_once_are_one(self, bus, store, box):
        requests = [a_request(idempotency_key="k") for _ in range(2)]
        first, second = await asyncio.gather(*(bus.send(request) for request in requests))
        assert first == second
        assert box.got == [first]

    async def test_a_sender_who_stops_waiting_leaves_one_that_is_delivered_and_repeated(self, slow):
        bus, store, box = slow
        first = a_request(idempotency_key="k")
        sending = asyncio.create_task(bus.send(first))
        await store.storing.wait()
        sending.cancel()
        await asyncio.wait([sending])
        store.go_on.set()
        await bus.finish()
        assert await bus.send(a_request(idempotency_key="k")) == first
        async with asyncio.timeout(DEADLINE):
            while not box.got:
                await asyncio.sleep(0)
        assert box.got == [first]

    async def test_a_repeat_is_told_that_the_first_was_put_off(self, bus, box):
        first = a_request(idempotency_key="k")
        await bus.send(first)
        repeat = asyncio.create_task(bus.ask(a_request(idempotency_key="k")))
        async with asyncio.timeout(DEADLINE):
            while not bus.followed(first.id):
                await asyncio.sleep(0)
        bus.postpone(first, CaxtonError(Code.SERVER_STOPPING, "on purpose"))
        assert (await told(repeat)).code is Code.SERVER_STOPPING

    async def test_a_repeat_to_an_agent_that_stopped_before_it_answered_is_refused(self, bus, box):
        await bus.send(a_request(idempotency_key="k"))
        box.got.clear()
        box.refusal = CaxtonError(Code.AGENT_NOT_RUNNING, "on purpose")
        assert (await told(bus.send(a_request(idempotency_key="k")))).code is Code.AGENT_NOT_RUNNING

    async def test_the_very_same_message_again_is_not_delivered_twice_and_has_its_reply(self, bus, box):
        request = a_request(awaited=True)
        asking = await asked(bus, box, request)
        await bus.settle(request, MessageState.SETTLED, an_answer(request))
        reply = await asking
        async with asyncio.timeout(DEADLINE):
            assert await bus.ask(request) == reply
        assert (box.got, box.again) == ([request], [])

    async def test_a_key_with_another_text_is_refused(self, bus, box):
        await bus.send(a_request("This", idempotency_key="k"))
        error = await told(bus.send(a_request("That", idempotency_key="k")))
        assert error.code is Code.IDEMPOTENCY_KEY_REUSED
        assert "'k'" in error.message
        assert len(box.got) == 1


class TestFollow:
    async def test_all_followers_have_every_event_from_then_on_to_the_end(self, bus):
        request = a_request(durability=Durability.MEMORY)
        started = TurnStarted(request=request.id, agent="helper", conversation_id=request.conversation_id)
        answer = an_answer(request)
        bus.publish(started)
        async with bus.follow(request.id) as first:
            bus.publish(TextDelta(request=request.id, text="He"))
            async with bus.follow(request.id) as second:
                bus.publish(TextDelta(request="another", text="no"))
                bus.publish(TextDelta(request=request.id, text="llo"))
                await bus.settle(request, MessageState.SETTLED, answer)
                end = [TextDelta(request=request.id, text="llo"), TurnEnded(request=request.id, reply=answer)]
                assert [event async for event in second] == end
            assert [event async for event in first] == [TextDelta(request=request.id, text="He"), *end]

    async def test_being_postponed_is_an_end_too(self, bus):
        request = a_request()
        async with bus.follow(request.id) as events:
            bus.postpone(request, CaxtonError(Code.SERVER_STOPPING, "on purpose"))
            (event,) = [event async for event in events]
        assert isinstance(event, TurnPostponed)
        assert event.error.code is Code.SERVER_STOPPING

    async def test_nobody_follows_once_the_last_has_left(self, bus):
        async with bus.follow("m"):
            async with bus.follow("m"):
                assert bus.followed("m")
            assert bus.followed("m")
        assert not bus.followed("m")

    async def test_whoever_leaves_by_an_error_has_left(self, bus):
        with pytest.raises(ZeroDivisionError):
            async with bus.follow("m"):
                raise ZeroDivisionError
        assert not bus.followed("m")


class TestRedeliver:
    async def test_what_is_accepted_for_that_address_comes_again_in_order(self, bus, store, box):
        mine = [a_request(str(number)) for number in range(5)]
        for request in mine:
            await store.append([request])
            await store.append([a_request(agent="other")])
        await store.commit([Settle(message_id=mine[2].id, state=MessageState.SETTLED, reply=an_answer(mine[2]))])
        assert await bus.redeliver("helper") == 4
        assert [message.text for message in box.again] == ["0", "1", "3", "4"]

    async def test_one_answered_while_it_was_looked_for_does_not_come_again(self, bus, store, box):
        request = a_request()
        await store.append([request])
        claim = store.claim

        async def slowly(receiver, **which):
            found = await claim(receiver, **which)
            await store.commit([Settle(message_id=request.id, state=MessageState.SETTLED, reply=an_answer(request))])
            return found

        store.claim = slowly
        await bus.redeliver("helper")
        assert box.again == []

    async def test_a_repeated_delivery_is_counted(self, bus, store):
        request = a_request()
        await store.append([request])
        assert [await bus.begin(request) for _ in range(3)] == [1, 2, 3]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["settle", "fail", "postpone"])), max_size=20)
)
async def test_whatever_becomes_of_requests_each_is_answered_or_still_accepted(fates):
    store = MemoryMessageStore()
    bus, boxes = LocalBus(store), {"one": Box(), "two": Box()}
    for name, box in boxes.items():
        bus.register(name, box)
    requests = [a_request(agent=agent, awaited=True) for agent, _ in fates]
    asking = [await asked(bus, boxes[request.receiver], request) for request in requests]
    for request, (_, fate) in zip(requests, fates, strict=True):
        if fate == "settle":
            await bus.settle(request, MessageState.SETTLED, an_answer(request))
        elif fate == "fail":
            await bus.settle(request, MessageState.FAILED, a_refusal(request))
        else:
            bus.postpone(request, CaxtonError(Code.SERVER_STOPPING, "on purpose"))
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    for request, (_, fate), outcome in zip(requests, fates, outcomes, strict=True):
        assert (outcome == store.reply_to(request.id)) is (fate != "postpone")
    postponed = [request for request, (_, fate) in zip(requests, fates, strict=True) if fate == "postpone"]
    for name in boxes:
        waiting = [request for request in postponed if request.receiver == name]
        assert [one.message for one in await store.claim(name, after=0, limit=99)] == waiting
    for name, box in boxes.items():
        await bus.redeliver(name)
        assert box.again == [request for request in postponed if request.receiver == name]
