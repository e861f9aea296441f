"""How every message store finds messages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.messages import a_request, an_answer
from support.stores import add, settle

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.message import MessageFilter, MessageState, Performative
from caxton.domain.ports.messages import MessageStore
from caxton.storage.database import open_database
from caxton.testing.memory import MemoryMessageStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MessageStore]:
    if request.param == "memory":
        yield MemoryMessageStore()
    else:
        async with open_database(tmp_path / "caxton.db") as database:
            yield SqliteMessageStore(database)


async def fill(store: MessageStore) -> None:
    """Three answered requests and one that waits, each a second after the last."""
    for number, (text, sender, to) in enumerate(
        [("one", "ada", "helper"), ("two", "bob", "helper"), ("three", "ada", "writer")]
    ):
        request = a_request(text, sender=sender, receiver=to, conversation_id=f"talk-{to}", created_at=100.0 + number)
        await add(store, request)
        await settle(store, request.id, MessageState.SETTLED, an_answer(request, f"re: {text}"))
    await add(
        store, a_request("four", sender="ada", receiver="helper", conversation_id="talk-helper", created_at=103.0)
    )


async def found(store: MessageStore, **wanted: object) -> list[str]:
    return [one.message.text for one in await store.search(MessageFilter(**wanted), limit=50)]


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        ({}, ["four", "re: three", "three", "re: two", "two", "re: one", "one"]),
        ({"agent": "writer"}, ["re: three", "three"]),
        ({"conversation_id": "talk-writer"}, ["re: three", "three"]),
        ({"agent": "helper", "conversation_id": "talk-writer"}, []),
        ({"state": MessageState.ACCEPTED}, ["four"]),
        ({"state": MessageState.DEAD}, []),
        ({"performative": Performative.INFORM}, ["re: three", "re: two", "re: one"]),
        ({"sender": "ada"}, ["four", "three", "one"]),
        ({"sender": "helper", "conversation_id": "talk-helper"}, ["re: two", "re: one"]),
        ({"sender": "ada", "agent": "helper", "performative": Performative.REQUEST}, ["four", "one"]),
        ({"since": 102.0, "performative": Performative.REQUEST}, ["four", "three"]),
        ({"since": 104.0, "performative": Performative.REQUEST}, []),
    ],
)
async def test_what_fits_all_of_it_is_found_newest_first(store, wanted, texts):
    await fill(store)
    assert await found(store, **wanted) == texts


@pytest.mark.parametrize("wanted", [MessageFilter(), MessageFilter(sender="ada"), MessageFilter(agent="helper")])
async def test_pages_follow_each_other_without_gap_or_repetition(store, wanted):
    await fill(store)
    whole = await store.search(wanted, limit=50)
    paged, before = [], None
    while page := await store.search(wanted, limit=2, before=before):
        assert len(page) <= 2
        paged += page
        before = page[-1].message.id
    assert paged == whole


@pytest.mark.parametrize("wanted", [MessageFilter(), MessageFilter(sender="ada")])
async def test_nothing_is_before_a_message_that_there_is_not(store, wanted):
    await fill(store)
    assert await store.search(wanted, limit=9, before="nothing") == []


async def test_a_cancel_is_no_reply_and_an_agree_only_where_no_other_follows(store):
    request = a_request()
    await add(store, request)
    for performative, found in [
        (Performative.CANCEL, None),
        (Performative.AGREE, Performative.AGREE),
        (Performative.INFORM, Performative.INFORM),
        (Performative.FAILURE, Performative.INFORM),
    ]:
        await add(store, an_answer(request, performative=performative))
        reply = store.reply_to(request.id)
        assert (reply.performative if reply else None) is found
