import pytest
from support.messages import a_request, an_answer

from caxton.bus.feed import BusFeed
from caxton.domain.delivery import BusEvent, BusEventKind
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Performative
from caxton.domain.observation import Filter
from caxton.service.api.events import EventsQuery
from caxton.service.events import EventService, filter_of
from caxton.testing.clock import FakeClock


def test_a_query_without_words_wants_everything():
    assert filter_of(EventsQuery()) == Filter(kinds=frozenset(), performatives=frozenset())


def test_words_are_lists_with_commas():
    wanted = filter_of(EventsQuery(kind="settled, failed", performative="cfp,", agent="ada", trace_id="7"))
    assert wanted.kinds == {BusEventKind.SETTLED, BusEventKind.FAILED}
    assert wanted.performatives == {Performative.CFP}
    assert (wanted.agent, wanted.trace_id) == ("ada", "7")


@pytest.mark.parametrize(("name", "word", "hint"), [("kind", "buryed", "'buried'"), ("performative", "x", "cfp")])
def test_a_word_that_nobody_knows_is_refused_with_what_there_is(name, word, hint):
    with pytest.raises(CaxtonError) as caught:
        filter_of(EventsQuery(**{name: word}))
    assert caught.value.code is Code.PARAMETER_INVALID
    assert hint in caught.value.hint


async def test_a_failure_that_its_reply_tells_is_the_events_error():
    feed = BusFeed(FakeClock())
    events = EventService(feed=feed).stream()
    await anext(events)
    message = a_request()
    reply = an_answer(message, content={"error": {"code": "turn_timeout", "message": "Too late."}})
    feed.observe(BusEvent(kind=BusEventKind.FAILED, at=1.0, message=message, reply=reply))
    event = await anext(events)
    assert (event.error.code, event.error.message) == (Code.TURN_TIMEOUT, "Too late.")
    await events.aclose()
    assert not feed._readers
