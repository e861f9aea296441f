"""Calls that wait for a person."""

import asyncio
from itertools import count

import pytest

from caxton.domain.tool import Approval, ToolCall, ToolDecision, ToolName, Verdict
from caxton.testing.clock import FakeClock
from caxton.tools.approvals import MemoryApprovals

TOOL = ToolName("files", "delete")
CALL = ToolCall(id="c", tool=TOOL, arguments={"path": "a"}, agent="helper")
DECISION = ToolDecision(tool=TOOL, agent="helper", verdict=Verdict.ASK, rule="*", where="here", why="so")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


@pytest.fixture
def approvals(clock: FakeClock) -> MemoryApprovals:
    numbers = count(1)
    return MemoryApprovals(clock, lambda: f"a{next(numbers)}")


async def test_a_call_waits_until_somebody_says_yes(approvals):
    asking = asyncio.create_task(approvals.ask(CALL, DECISION, 60))
    await asyncio.sleep(0)
    (pending,) = approvals.pending()
    assert (pending.id, pending.call, pending.asked_at, pending.expires_at) == ("a1", CALL, 100.0, 160.0)
    assert approvals.answer(Approval(id="a1", granted=True, by="ada"))
    assert await asking == Approval(id="a1", granted=True, by="ada")
    assert approvals.pending() == []


async def test_a_call_that_nobody_answers_expires(approvals, clock):
    asking = asyncio.create_task(approvals.ask(CALL, DECISION, 60))
    await clock.advance(59)
    assert not asking.done()
    await clock.advance(2)
    answer = await asking
    assert (answer.granted, answer.expired) == (False, True)


async def test_the_first_answer_counts(approvals):
    asking = asyncio.create_task(approvals.ask(CALL, DECISION, 60))
    await asyncio.sleep(0)
    assert approvals.answer(Approval(id="a1", granted=False, by="ada"))
    assert not approvals.answer(Approval(id="a1", granted=True, by="eve"))
    assert not (await asking).granted
    assert not approvals.answer(Approval(id="a1", granted=True))


async def test_an_answer_to_nothing_is_told_so(approvals):
    assert not approvals.answer(Approval(id="a9", granted=True))


async def test_a_cancelled_call_takes_its_question_back(approvals):
    before = asyncio.all_tasks()
    asking = asyncio.create_task(approvals.ask(CALL, DECISION, 60))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert approvals.pending() == []
    assert asyncio.all_tasks() == before
