import asyncio

import pytest
from support.messages import a_request

from caxton.bus.inbox import Inbox
from caxton.domain.errors import CaxtonError, Code
from caxton.testing.clock import FakeClock

DEADLINE = 5.0


class Desk:
    """An inbox whose work waits for `go_on`; `done` has what was dealt with, and whether it had been begun before."""

    def __init__(self, *, concurrency: int = 1, limit: int = 100, refuses_low: bool = False) -> None:
        self.clock = FakeClock()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.begun = []
        self.done = []
        self.put_down = []
        self.later = {}
        """Of the text of a message, when its first attempt wants it begun again."""
        self.inbox = Inbox(
            "desk",
            self.deal,
            clock=self.clock,
            limit=limit,
            concurrency=concurrency,
            refuses_low=refuses_low,
            on_start=lambda message: self.begun.append(message.text),
            on_end=lambda message: self.put_down.append(message.text),
        )

    async def deal(self, message, again):
        await self.go_on.wait()
        if (at := self.later.pop(message.text, None)) is not None:
            return at
        self.done.append((message.text, again))
        return None

    def put(self, text, conversation="one", **how):
        self.inbox.put(a_request(text, conversation_id=conversation), **how)


async def settled(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0)


async def test_nothing_is_begun_before_it_is_opened_and_all_of_it_then():
    desk = Desk()
    desk.put("a")
    desk.put("b")
    await asyncio.sleep(0)
    assert desk.begun == []
    desk.inbox.open()
    await settled(lambda: len(desk.done) == 2)
    assert desk.done == [("a", False), ("b", False)]
    assert desk.put_down == ["a", "b"]
    assert (desk.inbox.depth, desk.inbox.busy, list(desk.inbox.in_hand())) == (0, 0, [])


async def test_a_message_in_hand_is_not_taken_twice():
    desk = Desk()
    message = a_request()
    desk.inbox.put(message)
    desk.inbox.put(message, again=True)
    assert desk.inbox.depth == 1


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_as_many_conversations_are_under_way_as_are_allowed(concurrency):
    desk = Desk(concurrency=concurrency)
    desk.go_on.clear()
    desk.inbox.open()
    for conversation in "abcde":
        desk.put(conversation, conversation)
        desk.put(conversation.upper(), conversation)
    await settled(lambda: desk.inbox.busy == concurrency)
    await asyncio.sleep(0)
    assert desk.inbox.busy == concurrency
    assert all(text.islower() for text in desk.begun)
    desk.go_on.set()
    await settled(lambda: len(desk.done) == 10)
    for conversation in "abcde":
        texts = [text for text, _ in desk.done if text.lower() == conversation]
        assert texts == [conversation, conversation.upper()]


async def test_one_that_is_to_be_tried_again_holds_its_conversation_and_no_other():
    desk = Desk()
    desk.inbox.open()
    desk.later["a1"] = desk.clock.now() + 10
    desk.put("a1", "a")
    desk.put("a2", "a")
    desk.put("b1", "b")
    await settled(lambda: desk.done)
    assert desk.done == [("b1", False)]
    assert desk.inbox.depth == 2
    await desk.clock.advance(9)
    assert len(desk.done) == 1
    await desk.clock.advance(1)
    await settled(lambda: len(desk.done) == 3)
    assert desk.done[1:] == [("a1", True), ("a2", False)]


async def test_one_that_is_not_to_be_begun_yet_is_begun_in_time():
    desk = Desk()
    desk.inbox.open()
    desk.put("later", again=True, not_before=desk.clock.now() + 5)
    desk.put("behind it")
    await asyncio.sleep(0)
    await desk.clock.advance(4)
    assert desk.done == []
    await desk.clock.advance(1)
    await settled(lambda: len(desk.done) == 2)
    assert desk.done == [("later", True), ("behind it", False)]


async def test_a_sender_waits_for_room_and_has_it_when_a_message_is_dealt_with():
    desk = Desk(limit=1)
    desk.put("first")
    with pytest.raises(CaxtonError, match="1 messages in hand") as raised:
        desk.inbox.admit(a_request())
    assert raised.value.code is Code.MAILBOX_FULL
    waiting = asyncio.create_task(desk.inbox.vacancy())
    await asyncio.sleep(0)
    assert not waiting.done()
    desk.inbox.open()
    async with asyncio.timeout(DEADLINE):
        await waiting
    desk.inbox.admit(a_request())


async def test_where_low_priorities_are_refused_the_last_fifth_is_for_the_others():
    desk = Desk(limit=10, refuses_low=True)
    for number in range(8):
        desk.put(str(number))
    desk.inbox.admit(a_request(priority=5))
    with pytest.raises(CaxtonError, match="none of priority 4"):
        desk.inbox.admit(a_request(priority=4))


async def test_closing_cuts_off_what_is_under_way_and_hands_back_what_is_not_dealt_with():
    desk = Desk()
    desk.go_on.clear()
    desk.inbox.open()
    desk.put("under way", "a")
    desk.put("waiting", "b")
    await settled(lambda: desk.inbox.busy)
    left = await desk.inbox.close()
    assert {message.text for message in left} == {"under way", "waiting"}
    assert (desk.inbox.depth, desk.inbox.busy, desk.done) == (0, 0, [])


async def test_draining_waits_for_what_is_in_hand_and_no_longer_than_it_may():
    desk = Desk()
    desk.inbox.open()
    desk.put("a")
    desk.put("b", "two")
    await desk.inbox.drain(DEADLINE)
    assert len(desk.done) == 2
    desk.go_on.clear()
    desk.put("c")
    await desk.inbox.drain(0.01)
    assert len(desk.done) == 2
    await desk.inbox.close()


async def test_a_pause_lets_what_is_under_way_end_and_begins_nothing():
    desk = Desk()
    desk.go_on.clear()
    desk.inbox.open()
    desk.put("a", "a")
    desk.put("b", "b")
    await settled(lambda: desk.inbox.busy)
    desk.inbox.pause()
    desk.go_on.set()
    await settled(lambda: desk.done)
    await asyncio.sleep(0)
    assert desk.done == [("a", False)]
    desk.inbox.open()
    await settled(lambda: len(desk.done) == 2)


async def test_a_place_promised_to_one_who_has_gone_is_the_next_ones():
    desk = Desk(limit=1)
    desk.inbox.open()
    desk.put("first")
    gone, next_one = (asyncio.create_task(desk.inbox.vacancy()) for _ in range(2))
    await settled(lambda: desk.done)
    gone.cancel()
    async with asyncio.timeout(DEADLINE):
        await next_one
    desk.inbox.admit(a_request())
