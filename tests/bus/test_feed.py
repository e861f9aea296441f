import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.messages import a_request, an_answer

from caxton.bus.feed import KEPT, LINGER, READERS, WAITING, BusFeed, open_feed
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.lifecycle import AgentState, LifecycleEvent, Trigger
from caxton.domain.message import Performative
from caxton.domain.observation import LONGEST, AgentChanged, Filter, Heard, Missed, Opened
from caxton.domain.trace import traceparent
from caxton.testing.clock import FakeClock

ALL = Filter()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def feed(clock):
    return BusFeed(clock)


def happened(kind=BusEventKind.ACCEPTED, at=1_800_000_000.0, reply=None, **fields):
    return BusEvent(kind=kind, at=at, message=a_request(**fields), reply=reply)


def started(agent="helper", at=1_800_000_000.0):
    source, target = AgentState.LOADED, AgentState.RUNNING
    return LifecycleEvent(agent=agent, at=at, trigger=Trigger.START, source=source, target=target)


async def read(reader, count):
    async with asyncio.timeout(5):
        return [await reader.next() for _ in range(count)]


async def texts(reader, count):
    return [one.event.message.text for one in await read(reader, count)]


async def test_a_reader_hears_of_what_happens_from_the_opening_on(feed):
    feed.observe(happened(text="before"))
    with feed.read(ALL) as reader:
        [opened] = await read(reader, 1)
        event = happened()
        feed.observe(event)
        feed.agent(started())
        heard, changed = await read(reader, 2)
    assert isinstance(opened, Opened)
    assert heard == Heard(heard.id, event)
    assert changed == AgentChanged(changed.id, started())
    assert len({opened.id, heard.id, changed.id}) == 3


async def test_a_reader_waits_for_what_has_not_happened_yet(feed):
    with feed.read(ALL) as reader:
        await reader.next()
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.observe(happened(text="now"))
        async with asyncio.timeout(5):
            assert (await waiting).event.message.text == "now"


async def test_who_stops_waiting_loses_nothing(feed):
    with feed.read(ALL) as reader:
        await reader.next()
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        feed.observe(happened(text="kept"))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await texts(reader, 1) == ["kept"]


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        (Filter(agent="helper"), {"agent": "helper"}),
        (Filter(agent="helper"), {"sender": "helper"}),
        (Filter(conversation_id="c"), {"conversation_id": "c"}),
        (Filter(kinds=[BusEventKind.BURIED, BusEventKind.REFUSED]), {"kind": BusEventKind.BURIED}),
        (Filter(performatives=[Performative.CFP]), {"performative": Performative.CFP}),
        (Filter(sender="ada"), {"sender": "ada"}),
        (Filter(trace_id="1" * 32), {"id": f"{'1' * 8}-1111-1111-1111-{'1' * 12}"}),
        (Filter(trace_id="2" * 32), {"trace": traceparent("x", f"00-{'2' * 32}-{'2' * 16}-01")}),
    ],
)
async def test_a_reader_hears_of_what_it_wants_and_of_nothing_else(feed, wanted, fields):
    with feed.read(wanted) as reader:
        await reader.next()
        feed.observe(happened(**{"agent": "another", **{"text": "no"}}))
        feed.observe(happened(**{"agent": "another", **fields, "text": "yes"}))
        feed.observe(happened(agent="another", text="no"))
        feed.close()
        assert await texts(reader, 1) == ["yes"]
        assert await reader.next() is None


async def test_changes_of_agents_are_told_unless_only_messages_are_wanted(feed):
    wanted = [ALL, Filter(agent="helper"), Filter(agent="other"), Filter(sender="helper"), Filter(kinds=["settled"])]
    told = []
    for one in wanted:
        with feed.read(one) as reader:
            feed.agent(started("helper"))
            feed.observe(happened(kind=BusEventKind.SETTLED, agent="other", sender="helper"))
            told.append(type((await read(reader, 2))[1]))
    assert told == [AgentChanged, AgentChanged, Heard, Heard, Heard]


async def test_the_filter_may_change_while_one_reads(feed):
    with feed.read(Filter(agent="ada")) as reader:
        feed.observe(happened(agent="ada", text="1"))
        reader.want(Filter(agent="bob"))
        feed.observe(happened(agent="ada", text="2"))
        feed.observe(happened(agent="bob", text="3"))
        _, first, opened, second = await read(reader, 4)
        assert (first.event.message.text, second.event.message.text) == ("1", "3")
        assert isinstance(opened, Opened)


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(feed):
    with feed.read(ALL) as slow, feed.read(ALL) as quick:
        await read(slow, 1)
        await read(quick, 1)
        for number in range(WAITING + 7):
            feed.observe(happened(text=str(number)))
            await quick.next()
        assert await slow.next() == Missed(7)
        assert await texts(slow, WAITING) == [str(number) for number in range(7, WAITING + 7)]


async def test_who_comes_back_hears_of_what_happened_meanwhile(feed):
    with feed.read(ALL) as reader:
        feed.observe(happened(text="1"))
        _, last = await read(reader, 2)
    feed.observe(happened(text="2"))
    feed.agent(started())
    feed.observe(happened(text="3", agent="other"))
    with feed.read(Filter(agent="helper"), after=last.id) as reader:
        again, changed, opened = await read(reader, 3)
        assert again.event.message.text == "2"
        assert isinstance(changed, AgentChanged)
        assert isinstance(opened, Opened)
        feed.observe(happened(text="4"))
        assert await texts(reader, 1) == ["4"]


async def test_who_comes_back_late_is_told_how_much_is_not_known_any_more(feed):
    with feed.read(ALL) as reader:
        [opened] = await read(reader, 1)
        for _ in range(KEPT + 5):
            feed.observe(happened())
    with feed.read(ALL, after=opened.id) as reader:
        missed, *kept, last = await read(reader, KEPT + 2)
        assert missed == Missed(5)
        assert [type(one) for one in kept] == [Heard] * KEPT
        assert isinstance(last, Opened)


@pytest.mark.parametrize("after", ["", "nonsense", "18f-5", "²-²", f"x-{'9' * 50}"])
async def test_who_knows_another_server_is_told_that_something_is_missing(feed, after):
    with feed.read(ALL) as reader:
        feed.observe(happened(text="kept"))
        await read(reader, 2)
    with feed.read(ALL, after=after) as reader:
        missed, kept, _ = await read(reader, 3)
        assert missed == Missed(None)
        assert kept.event.message.text == "kept"


async def test_what_is_forgotten_is_not_told_to_those_who_come_back(feed):
    with feed.read(ALL) as reader:
        [opened] = await read(reader, 1)
        feed.observe(happened(text="1", conversation_id="theirs"))
        feed.agent(started())
        feed.observe(happened(text="2", conversation_id="ours"))
    feed.forget({"theirs"})
    with feed.read(ALL, after=opened.id) as reader:
        told = await read(reader, 4)
    # The oldest one that is kept is not the one after the last that was seen.
    assert [type(one) for one in told] == [Missed, AgentChanged, Heard, Opened]
    assert told[2].event.message.text == "2"


async def test_while_nobody_reads_nothing_is_kept(feed, clock):
    feed.observe(happened())
    assert not feed._kept
    with feed.read(ALL) as reader:
        opened = await reader.next()
        feed.observe(happened())
    assert len(feed._kept) == 1
    await clock.advance(LINGER + 1)
    feed.observe(happened(at=clock.now()))
    assert not feed._kept
    assert not feed.awake
    with feed.read(ALL, after=opened.id) as reader:
        assert await reader.next() == Missed(None)


@given(st.text(max_size=3 * LONGEST), st.dictionaries(st.sampled_from("ab"), st.text(max_size=LONGEST), max_size=2))
@settings(max_examples=30)
async def test_long_contents_are_cut_and_short_ones_are_whole(text, more):
    feed = BusFeed(FakeClock())
    content = {"text": text, **more}
    with feed.read(ALL) as reader:
        message = a_request(content=content)
        feed.observe(BusEvent(kind=BusEventKind.SETTLED, at=0.0, message=message, reply=an_answer(message, text)))
        _, heard = await read(reader, 2)
    told = heard.event.message.content
    if told == content and heard.event.reply.content == {"text": text}:
        assert not heard.cut
    else:
        assert heard.cut
        assert told in (content, {"text": text[:LONGEST]})
    assert all(len(str(one)) <= 3 * LONGEST for one in (told, heard.event.reply.content))


async def test_what_cannot_be_told_does_not_hurt(feed):
    with feed.read(ALL) as reader:
        feed.observe(happened(content={"text": "x", "odd": object()}))
        feed.observe(happened(content={"odd": "\ud800"}))
        _, first, second = await read(reader, 3)
    assert (first.event.message.content, first.cut) == ({"text": "x"}, True)
    assert (second.event.message.content, second.cut) == ({}, True)


async def test_there_is_a_bound_on_readers(feed):
    readers = [feed.read(ALL) for _ in range(READERS)]
    for one in readers:
        one.__enter__()
    with pytest.raises(CaxtonError) as caught, feed.read(ALL):
        pass
    assert caught.value.code is Code.TOO_MANY_READERS
    readers[0].__exit__(None, None, None)
    with feed.read(ALL):
        pass


async def test_at_the_end_readers_are_told_that_nothing_more_comes(clock):
    async with open_feed(clock) as feed:
        with feed.read(ALL) as reader:
            feed.observe(happened())
            await reader.next()
            feed.close()
            assert isinstance(await reader.next(), Heard)
            assert await reader.next() is None
    with feed.read(ALL) as late:
        assert isinstance(await late.next(), Opened)
        assert await late.next() is None
