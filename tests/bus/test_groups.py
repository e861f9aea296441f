"""Groups as the bus knows them."""

import logging

import pytest
from support.messages import a_request

from caxton.bus.groups import EVERY, StoredGroups, open_groups
from caxton.domain.conversation import Group, Participant, ParticipantKind
from caxton.domain.errors import CaxtonError, Code
from caxton.testing.clock import FakeClock
from caxton.testing.conversations import MemoryGroupStore
from caxton.testing.memory import MemoryMessageStore


@pytest.fixture
def messages():
    return MemoryMessageStore()


@pytest.fixture
def store(messages):
    return MemoryGroupStore(messages)


@pytest.fixture
def clock():
    return FakeClock()


async def found(store, clock, id="g1", *names, idle=None):
    participants = tuple(
        Participant(name=name, kind=ParticipantKind.AGENT, joined_at=clock.now()) for name in names or ("writer",)
    )
    await store.create(Group(id=id, created_at=clock.now(), idle=idle, participants=participants))


async def test_the_members_are_those_who_take_part_in_the_order_of_joining(store, clock):
    await found(store, clock, "g1", "writer", "ada", "reviewer")
    await store.leave("g1", "ada", clock.now())
    groups = StoredGroups(store)
    assert list(groups.members("g1")) == ["writer", "reviewer"]
    assert list(groups.members("nothing")) == []
    await store.close("g1", clock.now())
    assert list(groups.members("g1")) == []


async def test_a_group_is_closed_within_a_minute_of_its_time(store, messages, clock):
    await found(store, clock, "general")
    await found(store, clock, "own", idle=300.0)
    async with open_groups(store, clock=clock, idle=600.0):
        await clock.advance(300.0 + EVERY)
        assert not store.find("own").is_open
        assert store.find("general").is_open
        await messages.append([a_request(conversation_id="general", created_at=clock.now())])
        await clock.advance(590.0)
        assert store.find("general").is_open
        await clock.advance(2 * EVERY)
        assert not store.find("general").is_open


async def test_what_was_silent_too_long_when_it_starts_is_closed_at_once(store, clock):
    await found(store, clock)
    await clock.advance(700.0)
    async with open_groups(store, clock=clock, idle=600.0):
        await clock.advance(0.0)
        assert not store.find("g1").is_open


async def test_a_store_that_fails_is_tried_again(store, clock, monkeypatch, caplog):
    await found(store, clock)
    close_idle, fails = store.close_idle, [True]

    async def failing(now, *, idle):
        if fails.pop() if fails else False:
            raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")
        return await close_idle(now, idle=idle)

    monkeypatch.setattr(store, "close_idle", failing)
    await clock.advance(700.0)
    with caplog.at_level(logging.WARNING):
        async with open_groups(store, clock=clock, idle=600.0):
            await clock.advance(0.0)
            assert store.find("g1").is_open
            assert "The disk is full." in caplog.text
            await clock.advance(EVERY)
            assert not store.find("g1").is_open
