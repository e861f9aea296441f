import asyncio

import pytest
from support.messages import a_request

from caxton.bus import accepting
from caxton.bus.accepting import Acceptor
from caxton.domain.errors import CaxtonError, Code
from caxton.testing.memory import MemoryMessageStore


class Counting(MemoryMessageStore):
    """Keeps the sizes of the batches it was given; each takes a turn of the loop, and fails with `trouble`."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = []
        self.trouble = {}

    async def append(self, messages):
        self.batches.append(len(messages))
        await asyncio.sleep(0)
        for message in messages:
            if message.text in self.trouble:
                raise self.trouble[message.text]
        return await super().append(messages)


@pytest.fixture
def store():
    return Counting()


@pytest.fixture
def delivered():
    return []


@pytest.fixture
def acceptor(store, delivered):
    return Acceptor(store, lambda message, below: delivered.append((message.text, below)))


async def test_what_comes_while_one_batch_is_stored_is_the_next(acceptor, store, delivered):
    first = acceptor.accept(a_request("0"))
    while not store.batches:
        await asyncio.sleep(0)
    others = [acceptor.accept(a_request(str(number))) for number in range(1, 100)]
    await asyncio.gather(first, *others)
    assert store.batches == [1, 99]
    assert [text for text, _ in delivered] == [str(number) for number in range(100)]
    assert {below for _, below in delivered} == {0, 1}


async def test_a_batch_is_bounded(acceptor, store, delivered, monkeypatch):
    monkeypatch.setattr(accepting, "BATCH", 10)
    await asyncio.gather(*(acceptor.accept(a_request(str(number))) for number in range(25)))
    assert store.batches == [10, 10, 5]
    assert len(delivered) == 25


async def test_messages_given_together_are_answered_together(acceptor, delivered):
    messages = [a_request(str(number)) for number in range(3)]
    assert await acceptor.accept_all(messages) == messages
    assert [text for text, _ in delivered] == ["0", "1", "2"]


async def test_a_store_that_fails_fails_the_whole_batch_and_the_next_one_is_tried(acceptor, store, delivered):
    store.trouble["bad"] = CaxtonError(Code.STORAGE_FAILED, "Full.")
    results = await asyncio.gather(
        acceptor.accept(a_request("good")), acceptor.accept(a_request("bad")), return_exceptions=True
    )
    assert [error.code for error in results] == [Code.STORAGE_FAILED] * 2
    assert delivered == []
    await acceptor.accept(a_request("later"))
    assert len(delivered) == 1


async def test_one_that_cannot_be_stored_as_it_is_fails_alone(acceptor, store, delivered):
    store.trouble["bad"] = CaxtonError(Code.BODY_INVALID, "Half a surrogate.")
    texts = ["a", "bad", "b"]
    results = await asyncio.gather(*(acceptor.accept(a_request(text)) for text in texts), return_exceptions=True)
    assert isinstance(results[1], CaxtonError)
    assert [text for text, _ in delivered] == ["a", "b"]


async def test_whoever_stops_waiting_has_it_stored_and_delivered_all_the_same(acceptor, store, delivered):
    acceptor.accept(a_request("left")).cancel()
    await acceptor.finish()
    assert (store.last(), len(delivered)) == (1, 1)
