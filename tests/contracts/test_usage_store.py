"""What every store of usage does."""

import pytest

from caxton.domain.usage import ModelUse, UsageBy
from caxton.storage.database import open_database
from caxton.storage.usage import SqliteUsageStore
from caxton.testing.memory import MemoryUsageStore

MIDNIGHT = 1_800_057_600.0
"""2027-01-16, 00:00 UTC."""


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryUsageStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteUsageStore(database)


def use(at: float = 0.0, agent: str = "a", **fields) -> ModelUse:
    given = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.5, **fields}
    return ModelUse(at=MIDNIGHT + at, agent=agent, **{"conversation_id": "c", "provider": "p", "model": "m", **given})


async def test_nothing_used_is_nothing_summed(store):
    for by in UsageBy:
        assert await store.sums(by, since=0) == []


async def test_uses_are_summed_by_each_of_their_sides(store):
    await store.record([use(agent="a"), use(agent="b", model="n"), use(agent="a", conversation_id="d", provider="q")])
    keys = {by: {one.key: one.completions for one in await store.sums(by, since=0)} for by in UsageBy}
    assert keys[UsageBy.AGENT] == {"a": 2, "b": 1}
    assert keys[UsageBy.CONVERSATION] == {"c": 2, "d": 1}
    assert keys[UsageBy.MODEL] == {"p/m": 1, "p/n": 1, "q/m": 1}
    assert keys[UsageBy.PROVIDER] == {"p": 2, "q": 1}
    assert keys[UsageBy.DAY] == {"2027-01-16": 3}


async def test_what_is_not_known_is_counted_and_not_taken_for_zero(store):
    await store.record([use(), use(cost=None), use(prompt_tokens=None, completion_tokens=None, cost=None)])
    [total] = await store.sums(UsageBy.AGENT, since=0)
    assert (total.prompt_tokens, total.completion_tokens, total.cost) == (20, 10, 0.5)
    assert (total.completions, total.unmetered, total.unpriced) == (3, 1, 2)


async def test_days_end_at_midnight_utc_and_come_newest_first(store):
    await store.record([use(-1), use(0), use(86_399), use(86_400)])
    days = await store.sums(UsageBy.DAY, since=0)
    assert [(day.key, day.completions) for day in days] == [("2027-01-17", 1), ("2027-01-16", 2), ("2027-01-15", 1)]


async def test_a_time_span_has_its_beginning_and_not_its_end(store):
    await store.record([use(-1), use(0), use(5), use(10)])
    [total] = await store.sums(UsageBy.AGENT, since=MIDNIGHT, until=MIDNIGHT + 10)
    assert total.completions == 2


async def test_the_dearest_come_first_and_then_the_longest(store):
    await store.record(
        [use(agent="cheap", cost=0.1), use(agent="dear", cost=9), use(agent="long", cost=0.1, prompt_tokens=99)]
    )
    assert [one.key for one in await store.sums(UsageBy.AGENT, since=0)] == ["dear", "long", "cheap"]


async def test_uses_are_kept_without_their_conversation_where_that_is_wanted(store):
    ids = ("c", "zoe:helper", "d", "other", "zoes")
    await store.record([use(conversation_id=one) for one in ids])
    assert await store.anonymise(["c", "d", "nothing"], prefix="zoe:") == 3
    sums = {one.key: one.completions for one in await store.sums(UsageBy.CONVERSATION, since=0)}
    assert sums == {"": 3, "other": 1, "zoes": 1}
    assert await store.anonymise([], prefix="nobody:") == 0
