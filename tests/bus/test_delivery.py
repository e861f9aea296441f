"""What becomes of messages on the bus: overload, failures, deadlines, everybody, circles."""

import asyncio

import pytest
from support.messages import a_request, an_answer

from caxton.bus.local import LocalBus
from caxton.domain.bus_settings import BusSettings, Overload, RetrySettings
from caxton.domain.capability import Capability, CapabilityName
from caxton.domain.delivery import BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Durability, MessageState, Performative
from caxton.testing.clock import FakeClock
from caxton.testing.memory import MemoryMessageStore

DEADLINE = 5.0


class Seen:
    """Watches the bus."""

    def __init__(self) -> None:
        self.events = []

    def observe(self, event):
        self.events.append(event)

    def kinds(self, message):
        return [event.kind for event in self.events if event.message.id == message.id]


class House:
    """A bus on a clock that a test turns; `served` has what the agents' handlers were given."""

    def __init__(self, **settings) -> None:
        self.clock = FakeClock()
        self.store = MemoryMessageStore()
        self.seen = Seen()
        self.settings = BusSettings(**{"patience": 0.01, **settings})
        self.bus = self.another()
        self.served = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.trouble = []
        """What the next attempts fail with."""

    def another(self):
        return LocalBus(self.store, self.settings, clock=self.clock, observers=[self.seen], groups=Groups())

    async def handle(self, message):
        await self.go_on.wait()
        self.served.append(message)
        if self.trouble:
            raise self.trouble.pop(0)
        return an_answer(message, f"re: {message.text}") if message.performative is Performative.REQUEST else None

    async def count(self, number):
        async with asyncio.timeout(DEADLINE):
            while len(self.served) < number:
                await asyncio.sleep(0)

    async def ended(self, message):
        async with asyncio.timeout(DEADLINE):
            while self.store.find(message.id).state is MessageState.ACCEPTED:
                await asyncio.sleep(0)
        return self.store.find(message.id).state


class Groups:
    def members(self, conversation_id):
        return ("ann", "bob", "cid") if conversation_id == "club" else ()


async def refused(awaitable):
    with pytest.raises(CaxtonError) as caught:
        await awaitable
    return caught.value


def transient():
    return CaxtonError(Code.PROVIDER_UNAVAILABLE, "Away.")


class TestOverload:
    async def test_what_a_mailbox_has_no_room_for_waits_in_the_store_and_comes_in_its_order(self):
        house = House(mailbox=3)
        house.go_on.clear()
        async with house.bus.serve("helper", house.handle):
            for number in range(20):
                await house.bus.send(a_request(str(number)))
            assert house.bus.directory.mailbox("helper").depth == 3
            house.go_on.set()
            await house.count(20)
            assert [message.text for message in house.served] == [str(number) for number in range(20)]
            await house.bus.send(a_request("after"))
            await house.count(21)

    async def test_what_could_not_be_fetched_is_fetched_when_the_store_works_again(self):
        house = House(mailbox=1)
        house.go_on.clear()
        claim = house.store.claim

        async def locked(receiver, **which):
            raise CaxtonError(Code.STORAGE_FAILED, "Locked.")

        async with house.bus.serve("helper", house.handle):
            for number in range(3):
                await house.bus.send(a_request(str(number)))
            house.store.claim = locked
            house.go_on.set()
            await house.count(1)
            await house.clock.advance(3)
            assert len(house.served) == 1
            house.store.claim = claim
            await house.clock.advance(1)
            await house.count(3)

    async def test_beyond_its_backlog_a_sender_waits_and_is_refused(self):
        house = House(mailbox=2, backlog=3)
        house.go_on.clear()
        async with house.bus.serve("helper", house.handle):
            for number in range(5):
                await house.bus.send(a_request(str(number)))
            assert (await refused(house.bus.send(a_request()))).code is Code.MAILBOX_FULL
            assert house.store.last() == 5

    async def test_who_waits_for_what_waits_in_the_store_is_told_when_its_receiver_stops(self):
        house = House(mailbox=1)
        house.go_on.clear()
        async with house.bus.serve("helper", house.handle):
            asking = [asyncio.create_task(house.bus.ask(a_request(str(number)))) for number in range(5)]
            async with asyncio.timeout(DEADLINE):
                while house.store.last() < 5:
                    await asyncio.sleep(0)
            await house.bus.finish()
            house.bus.suspend("helper", CaxtonError(Code.AGENT_NOT_RUNNING, "Stopped."))
            assert [(await refused(one)).code for one in asking[1:]] == [Code.AGENT_NOT_RUNNING] * 4
            asking[0].cancel()
        assert await house.store.waiting("helper") == 5

    async def test_where_it_is_refused_nothing_spills_and_the_refusal_is_seen(self):
        house = House(mailbox=2, overload=Overload.REFUSE)
        house.go_on.clear()
        async with house.bus.serve("helper", house.handle):
            for number in range(2):
                await house.bus.send(a_request(str(number)))
            message = a_request()
            assert (await refused(house.bus.send(message))).code is Code.MAILBOX_FULL
            assert house.seen.kinds(message) == [BusEventKind.REFUSED]

    async def test_a_sender_of_what_is_not_stored_waits_for_room(self):
        house = House(mailbox=2, patience=DEADLINE)
        async with house.bus.serve("helper", house.handle):
            for number in range(50):
                await house.bus.send(a_request(str(number), durability=Durability.MEMORY))
            await house.count(50)
        assert [message.text for message in house.served] == [str(number) for number in range(50)]

    async def test_of_many_senders_who_wait_for_room_none_is_passed_over(self):
        house = House(mailbox=2, patience=1.0)
        last = {}

        async def slowly(message):
            await asyncio.sleep(0)

        async def sender(name):
            for _ in range(100):
                await house.bus.send(a_request(sender=name, durability=Durability.MEMORY))
                last[name] = last.get(name, 0) + 1
                assert last[name] <= min(last.get(other, 0) for other in names) + 50

        names = [f"sender {number}" for number in range(20)]
        async with house.bus.serve("helper", slowly):
            await asyncio.gather(*map(sender, names))
        assert set(last.values()) == {100}

    async def test_what_waits_is_found_by_the_next_process_however_much_it_is(self):
        house = House(mailbox=4)
        stopped = asyncio.Event()

        async def never(message):
            await stopped.wait()

        async with house.bus.serve("helper", never):
            for number in range(30):
                await house.bus.send(a_request(str(number)))
        house.bus = house.another()
        async with house.bus.serve("helper", house.handle):
            await house.count(30)
        assert [message.text for message in house.served] == [str(number) for number in range(30)]


class TestFailures:
    async def test_what_nobody_waits_for_is_tried_again_with_growing_pauses_and_in_order(self):
        house = House(retries=RetrySettings(attempts=3, first_delay=10))
        house.trouble = [transient(), transient()]
        async with house.bus.serve("helper", house.handle):
            first, second = a_request("first"), a_request("second")
            await house.bus.send(first)
            await house.bus.send(second)
            await house.count(1)
            for _ in range(40):
                await house.clock.advance(1)
            assert [message.text for message in house.served] == ["first", "first", "first", "second"]
            assert house.seen.kinds(first) == [
                BusEventKind.ACCEPTED,
                BusEventKind.STARTED,
                BusEventKind.RETRIED,
                BusEventKind.STARTED,
                BusEventKind.RETRIED,
                BusEventKind.STARTED,
                BusEventKind.SETTLED,
            ]
        assert house.bus.failures(first.id) == ()

    async def test_attempts_are_counted_over_a_restart_and_the_last_makes_a_dead_letter(self):
        house = House(retries=RetrySettings(attempts=2, first_delay=10))
        house.trouble = [transient(), transient()]
        message = a_request()
        async with house.bus.serve("helper", house.handle):
            await house.bus.send(message)
            await house.count(1)
        house.bus = house.another()
        async with house.bus.serve("helper", house.handle):
            for _ in range(20):
                await house.clock.advance(1)
            assert await house.ended(message) is MessageState.DEAD
        letter = house.store.dead_letter(message.id)
        assert [failure.attempt for failure in letter.failures] == [1, 2]
        assert letter.error.code is Code.PROVIDER_UNAVAILABLE
        assert len(house.served) == 2

    @pytest.mark.parametrize(
        ("error", "attempts"),
        [(CaxtonError(Code.BODY_INVALID, "Wrong."), 1), (ZeroDivisionError(), 2), (transient(), 4)],
    )
    async def test_how_often_depends_on_the_class_of_the_error(self, error, attempts):
        house = House(retries=RetrySettings(attempts=4, first_delay=1))
        house.trouble = [error] * 9
        message = a_request()
        async with house.bus.serve("helper", house.handle):
            await house.bus.send(message)
            await house.count(1)
            for _ in range(40):
                await house.clock.advance(1)
        assert len(house.served) == attempts
        assert house.store.find(message.id).state is MessageState.DEAD

    async def test_whoever_waits_is_told_at_once_and_nothing_is_tried_again(self):
        house = House()
        house.trouble = [transient()]
        async with house.bus.serve("helper", house.handle):
            message = a_request()
            reply = await house.bus.ask(message)
        assert reply.performative is Performative.FAILURE
        assert house.store.find(message.id).state is MessageState.FAILED
        assert len(house.served) == 1

    async def test_a_sender_with_a_mailbox_hears_of_the_dead_letter(self):
        house = House()
        house.trouble = [CaxtonError(Code.BODY_INVALID, "Wrong.")]
        told = []

        async def hear(message):
            told.append(message)

        async with house.bus.serve("asker", hear), house.bus.serve("helper", house.handle):
            message = a_request(sender="asker")
            await house.bus.send(message)
            async with asyncio.timeout(DEADLINE):
                while not told:
                    await asyncio.sleep(0)
        assert told[0].performative is Performative.FAILURE
        assert told[0].in_reply_to == message.id
        assert told[0].content["error"]["code"] == Code.BODY_INVALID

    async def test_one_whose_time_has_passed_is_not_begun(self):
        house = House()
        message = a_request(reply_by=house.clock.now() - 1)
        async with house.bus.serve("helper", house.handle):
            await house.bus.send(message)
            assert await house.ended(message) is MessageState.DEAD
        assert house.served == []
        assert house.store.dead_letter(message.id).error.code is Code.DEADLINE_PASSED

    async def test_the_wait_for_a_reply_ends_when_its_time_is_over(self):
        house = House()
        house.go_on.clear()
        async with house.bus.serve("helper", house.handle):
            asking = asyncio.create_task(house.bus.ask(a_request(reply_by=house.clock.now() + 30)))
            await asyncio.sleep(0)
            await house.clock.advance(29)
            assert not asking.done()
            await house.clock.advance(1)
            assert (await refused(asking)).code is Code.REPLY_TIMEOUT


class TestReplies:
    async def test_a_reply_that_nobody_waits_for_goes_to_the_mailbox_of_its_receiver_and_is_not_answered(self):
        house = House()
        got = []

        async def hear(message):
            got.append(message)
            return an_answer(message, "thanks")

        async with house.bus.serve("asker", hear), house.bus.serve("helper", house.handle):
            message = a_request("ping", sender="asker")
            await house.bus.send(message)
            async with asyncio.timeout(DEADLINE):
                while not got:
                    await asyncio.sleep(0)
            reply = got[0]
            assert (reply.text, reply.in_reply_to) == ("re: ping", message.id)
            assert await house.ended(reply) is MessageState.SETTLED
        assert [one.text for one in house.served] == ["ping"]
        assert house.store.reply_to(reply.id).text == "thanks"

    async def test_one_that_is_awaited_goes_to_whoever_waits_alone(self):
        house = House()
        async with house.bus.serve("asker", house.handle), house.bus.serve("helper", house.handle):
            assert (await house.bus.ask(a_request("ping", sender="asker"))).text == "re: ping"
        assert len(house.served) == 1


class TestManyReceivers:
    @pytest.mark.parametrize("durability", [Durability.STORED, Durability.MEMORY])
    async def test_everybody_but_the_sender_gets_one_of_his_own(self, durability):
        house = House()
        async with house.bus.serve("ann", house.handle), house.bus.serve("bob", house.handle):
            message = a_request("all", receiver="all", sender="ann", durability=durability)
            [sent] = await house.bus.broadcast(message)
            await house.count(1)
        assert (sent.receiver, sent.addressed) == ("bob", "all")
        assert sent.id != message.id
        assert house.served == [sent]

    async def test_a_group_is_those_who_take_part_and_run(self):
        house = House()
        async with house.bus.serve("ann", house.handle), house.bus.serve("dan", house.handle):
            sent = await house.bus.broadcast(a_request("club", receiver="group:club"))
            assert [one.receiver for one in sent] == ["ann"]

    async def test_a_group_that_there_is_not_is_an_error(self):
        house = House()
        error = await refused(house.bus.broadcast(a_request(receiver="group:none")))
        assert error.code is Code.CONVERSATION_NOT_FOUND


async def test_what_waited_comes_before_what_is_sent_while_its_receiver_starts():
    house = House()
    await house.store.append([a_request("old")])
    waiting, go_on = house.store.waiting, asyncio.Event()

    async def slow(receiver):
        count = await waiting(receiver)
        await go_on.wait()
        return count

    house.store.waiting = slow

    async def serve():
        async with house.bus.serve("helper", house.handle):
            await asyncio.Event().wait()

    serving = asyncio.create_task(serve())
    async with asyncio.timeout(DEADLINE):
        while "helper" not in house.bus.directory:
            await asyncio.sleep(0)
    await house.bus.send(a_request("new"))
    go_on.set()
    await house.count(2)
    assert [message.text for message in house.served] == ["old", "new"]
    serving.cancel()
    await asyncio.wait([serving])


async def test_a_second_end_hands_no_second_reply_over():
    house = House()
    async with house.bus.serve("user", house.handle):
        request = a_request("x")
        await house.store.append([request])
        for text in ("one", "two"):
            await house.bus.settle(request, MessageState.SETTLED, an_answer(request, text))
        await house.count(1)
        await asyncio.sleep(0)
    assert [message.text for message in house.served] == ["one"]


class TestCircles:
    async def test_what_comes_back_to_one_who_had_it_is_refused(self):
        house = House()
        async with house.bus.serve("ann", house.handle):
            error = await refused(house.bus.send(a_request(receiver="ann", path=("ann", "bob"))))
        assert error.code is Code.DELEGATION_LOOP
        assert "ann → bob → ann" in error.message

    async def test_one_that_has_come_too_far_is_refused(self):
        house = House(max_hops=2)
        async with house.bus.serve("ann", house.handle):
            await house.bus.send(a_request(receiver="ann", hops=2))
            assert (await refused(house.bus.send(a_request(receiver="ann", hops=3)))).code is Code.DELEGATION_LOOP

    async def test_a_broadcast_goes_no_further_either(self):
        house = House(max_hops=2)
        async with house.bus.serve("ann", house.handle):
            error = await refused(house.bus.broadcast(a_request(receiver="all", hops=3)))
        assert error.code is Code.DELEGATION_LOOP

    async def test_a_capability_finds_the_one_who_had_no_part_in_it(self):
        house = House()
        charts = [Capability(name=CapabilityName("charts", 2))]
        async with (
            house.bus.serve("ann", house.handle, capabilities=charts),
            house.bus.serve("bob", house.handle, capabilities=charts),
        ):
            sent = await house.bus.send(a_request(receiver="capability:charts", sender="ann", path=("ann",)))
        assert (sent.receiver, sent.addressed) == ("bob", "capability:charts")

    async def test_a_repeat_goes_to_nobody_else(self):
        house = House()
        charts = [Capability(name=CapabilityName("charts"))]
        async with (
            house.bus.serve("ann", house.handle, capabilities=charts),
            house.bus.serve("bob", house.handle, capabilities=charts),
        ):
            first = await house.bus.send(a_request(receiver="capability:charts", idempotency_key="k"))
            house.bus.unregister(first.receiver)
            assert await house.bus.send(a_request(receiver="capability:charts", idempotency_key="k")) == first


class TestTransaction:
    async def test_all_of_it_happens_when_the_block_ends(self):
        house = House()
        async with house.bus.serve("ann", house.handle), house.bus.serve("bob", house.handle):
            async with house.bus.transaction() as transaction:
                transaction.send(a_request("one", receiver="ann"))
                transaction.send(a_request("two", receiver="bob"))
                transaction.remember("ann", "count", {"n": 1})
                assert house.store.last() == 0
            assert house.bus.recall("ann", "count") == {"n": 1}
            await house.count(2)

    async def test_nothing_of_it_happens_where_the_block_raises(self):
        house = House()
        async with house.bus.serve("ann", house.handle):

            async def raises():
                async with house.bus.transaction() as transaction:
                    transaction.send(a_request("one", receiver="ann"))
                    transaction.remember("ann", "count", 1)
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await raises()
        assert (house.store.last(), house.bus.recall("ann", "count")) == (0, None)

    async def test_nothing_of_it_happens_where_one_message_has_no_receiver(self):
        house = House()
        async with house.bus.serve("ann", house.handle):

            async def sends():
                async with house.bus.transaction() as transaction:
                    transaction.send(a_request("one", receiver="ann"))
                    transaction.send(a_request("two", receiver="nobody"))

            assert "no agent 'nobody'" in (await refused(sends())).message
        assert house.store.last() == 0

    async def test_what_repeats_a_message_by_its_key_is_not_delivered(self):
        house = House()
        async with house.bus.serve("ann", house.handle):
            for text in ("first", "again"):
                async with house.bus.transaction() as transaction:
                    transaction.send(a_request(text, receiver="ann", idempotency_key="k"))
            await house.count(1)
            await asyncio.sleep(0)
        assert [message.text for message in house.served] == ["first"]

    async def test_one_that_was_to_be_in_memory_is_stored_like_the_rest_and_ends(self):
        house = House()
        message = a_request("x", receiver="ann", durability=Durability.MEMORY)
        async with house.bus.serve("ann", house.handle):
            async with house.bus.transaction() as transaction:
                transaction.send(message)
            assert await house.ended(message) is MessageState.SETTLED

    async def test_a_reply_that_it_holds_reaches_whoever_waits(self):
        house = House()
        request = a_request(awaited=True)

        async def answer(message):
            async with house.bus.transaction() as transaction:
                transaction.settle(message, MessageState.SETTLED, an_answer(message, "together"))
                transaction.remember("helper", "done", value=True)

        async with house.bus.serve("helper", answer):
            assert (await house.bus.ask(request)).text == "together"
        assert house.bus.recall("helper", "done") is True


async def test_a_message_that_cannot_be_stored_leaves_the_others_of_its_batch_alone():
    house = House()
    good, bad = a_request("good"), a_request("bad")
    append = house.store.append

    async def particular(messages):
        if bad in messages:
            raise CaxtonError(Code.BODY_INVALID, "Half a surrogate.")
        return await append(messages)

    house.store.append = particular
    async with house.bus.serve("helper", house.handle):
        results = await asyncio.gather(house.bus.send(good), house.bus.send(bad), return_exceptions=True)
        await house.count(1)
    assert results[0] == good
    assert results[1].code is Code.BODY_INVALID
    assert house.served == [good]
