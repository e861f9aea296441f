"""The operations on dead letters, over a bus with an agent whose model echoes."""

import asyncio

import pytest
from support.messages import a_request

from caxton.domain.delivery import Bury, Failure
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.message import MessageState
from caxton.service.api.dead_letters import DeathCount, Purged, RedirectLetter, ReplayLetters
from caxton.service.dead_letters import DeadLetterService

NOW = 1_800_000_000.0


@pytest.fixture
def dlq(running):
    return DeadLetterService(
        store=running.message_store,
        bus=running.bus,
        receivers=running.bus.directory.addresses(),
        clock=running.clock,
    )


@pytest.fixture
def bury(running):
    async def buried(text: str = "Hello", *, code: Code = Code.PROVIDER_TIMEOUT, at: float = NOW - 60, **fields):
        message = a_request(text, created_at=NOW - 100, **fields)
        await running.message_store.append([message])
        failure = Failure(attempt=2, at=at, error=ErrorReport(code=code, message="Too slow.", hint="Wait."))
        await running.message_store.commit([Bury(message_id=message.id, failure=failure)])
        return message

    return buried


async def settled(house, message) -> None:
    async with asyncio.timeout(10):
        while house.message_store.find(message.id).state is not MessageState.SETTLED:
            await asyncio.sleep(0)


async def refused(awaitable) -> CaxtonError:
    with pytest.raises(CaxtonError) as failure:
        await awaitable
    return failure.value


class TestLooking:
    async def test_they_are_listed_in_pages(self, dlq, bury):
        first, second, third = [await bury(at=NOW - seconds) for seconds in (30, 20, 10)]
        page = await dlq.list(limit=2)
        assert [one.id for one in page.letters] == [third.id, second.id]
        entry = page.letters[0]
        assert (entry.receiver, entry.sender, entry.attempts) == ("helper", "user", 2)
        assert (entry.code, entry.error, entry.died_at) == (Code.PROVIDER_TIMEOUT, "Too slow.", NOW - 10)
        rest = await dlq.list(limit=2, before=page.next)
        assert ([one.id for one in rest.letters], rest.next) == ([first.id], None)

    async def test_they_are_listed_by_receiver_and_error(self, dlq, bury):
        await bury()
        other = await bury(agent="other", code=Code.INTERNAL)
        for wanted in ({"receiver": "other"}, {"code": "internal"}):
            assert [one.id for one in (await dlq.list(**wanted)).letters] == [other.id]

    async def test_one_is_shown_with_all_that_is_known(self, dlq, bury):
        trace = f"00-{'a' * 32}-00f067aa0ba902b7-01"
        message = await bury("Wörld", trace=trace, cause="m0")
        shown = await dlq.show(id=message.id)
        assert (shown.text, shown.content, shown.trace, shown.cause) == ("Wörld", message.content, trace, "m0")
        assert shown.failures[0].error.hint == "Wait."

    async def test_they_are_counted(self, dlq, bury):
        for code in (Code.INTERNAL, Code.PROVIDER_TIMEOUT, Code.PROVIDER_TIMEOUT):
            await bury(code=code)
        stats = await dlq.stats()
        assert stats.total == 3
        assert stats.counts == [
            DeathCount(receiver="helper", code="provider_timeout", count=2),
            DeathCount(receiver="helper", code="internal", count=1),
        ]

    async def test_one_that_is_not_there_is_not_found(self, dlq, running):
        alive = a_request()
        await running.message_store.append([alive])
        redirect = RedirectLetter(receiver="helper")
        for id in ("nothing", alive.id):
            for asked in (dlq.show(id=id), dlq.replay(id=id), dlq.redirect(id=id, body=redirect)):
                assert (await refused(asked)).code is Code.MESSAGE_NOT_FOUND


class TestReplaying:
    async def test_one_is_delivered_again_and_answered(self, dlq, bury, running):
        message = await bury("Again, please")
        assert (await dlq.replay(id=message.id)).replayed == 1
        await settled(running, message)
        assert running.message_store.reply_to(message.id).text == "echo: Again, please"
        assert (await dlq.stats()).total == 0

    async def test_one_for_an_agent_that_is_gone_says_so_and_stays(self, dlq, bury):
        message = await bury(agent="helpr")
        error = await refused(dlq.replay(id=message.id))
        assert (error.code, error.hint) == (Code.AGENT_NOT_FOUND, "Did you mean 'helper'?")
        assert (await dlq.stats()).total == 1

    async def test_one_is_redirected(self, dlq, bury, running):
        message = await bury("For you", agent="gone")
        error = await refused(dlq.redirect(id=message.id, body=RedirectLetter(receiver="nobody")))
        assert error.code is Code.AGENT_NOT_FOUND
        await dlq.redirect(id=message.id, body=RedirectLetter(receiver="helper"))
        await settled(running, message)
        moved = running.message_store.find(message.id).message
        assert (moved.receiver, moved.addressed) == ("helper", "gone")

    async def test_one_for_a_stopped_agent_waits_for_it(self, dlq, bury, running):
        message = await bury()
        await running.agents.stop(name="helper")
        assert (await dlq.replay(id=message.id)).replayed == 1
        assert running.message_store.find(message.id).state is MessageState.ACCEPTED
        await running.agents.start(name="helper")
        await settled(running, message)

    async def test_many_are_replayed_page_by_page_in_their_order(self, dlq, bury, running):
        messages = [await bury(str(number), at=NOW - 50 + number) for number in range(5)]
        await bury(code=Code.INTERNAL)
        wanted = ReplayLetters(code="provider_timeout", limit=2)
        pages = [await dlq.replay_all(body=wanted) for _ in range(4)]
        assert [(page.replayed, page.left) for page in pages] == [(2, 3), (2, 1), (1, 0), (0, 0)]
        for message in messages:
            await settled(running, message)
        history = running.message_store.history("user:helper", "helper", 9)
        assert [turn.request for turn in history] == messages
        assert (await dlq.stats()).total == 1

    async def test_what_is_for_nobody_stays_unless_it_is_redirected(self, dlq, bury, running):
        known, lost = await bury(), await bury(agent="gone")
        replayed = await dlq.replay_all(body=ReplayLetters())
        assert (replayed.replayed, replayed.left, replayed.unknown) == (1, 0, 1)
        await settled(running, known)
        assert (await dlq.replay_all(body=ReplayLetters(to="helper"))).replayed == 1
        await settled(running, lost)
        assert (await refused(dlq.replay_all(body=ReplayLetters(to="gone")))).code is Code.AGENT_NOT_FOUND

    async def test_what_has_died_since_it_began_is_left(self, dlq, bury):
        await bury(at=NOW + 5)
        replayed = await dlq.replay_all(body=ReplayLetters())
        assert (replayed.replayed, replayed.left, replayed.before) == (0, 1, NOW)


class TestPurging:
    @pytest.mark.parametrize(
        ("conditions", "left"),
        [
            ({"all": True}, 0),
            ({"receiver": "other"}, 2),
            ({"code": "internal"}, 2),
            ({"code": "internal", "receiver": "other"}, 3),
            ({"older_than": 40.0}, 2),
            ({"older_than": 40.0, "receiver": "other"}, 3),
            ({"older_than": 1000.0}, 3),
        ],
        ids=str,
    )
    async def test_those_that_meet_the_conditions_go(self, dlq, bury, conditions, left):
        await bury(at=NOW - 50)
        await bury(at=NOW - 30, agent="other")
        await bury(at=NOW - 10, code=Code.INTERNAL)
        assert await dlq.purge(**conditions) == Purged(purged=3 - left)
        assert (await dlq.stats()).total == left

    async def test_one_goes_where_it_meets_the_conditions(self, dlq, bury):
        message, _ = await bury(), await bury()
        for conditions in ({"receiver": "other"}, {"code": "internal"}, {"older_than": 1000.0}):
            assert (await dlq.purge(id=message.id, **conditions)).purged == 0
        assert (await dlq.purge(id=message.id, receiver="helper")).purged == 1
        assert (await dlq.purge(id=message.id)).purged == 0
        assert (await dlq.stats()).total == 1

    async def test_everything_has_to_be_asked_for(self, dlq, bury):
        await bury()
        assert (await refused(dlq.purge())).code is Code.PARAMETER_INVALID
        assert (await dlq.stats()).total == 1
