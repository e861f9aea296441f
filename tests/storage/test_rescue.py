"""What can be read of a damaged database is saved, and what it was is kept."""

import random
from contextlib import closing
from itertools import pairwise

import apsw
import msgspec
import pytest
from support.messages import a_request, accepted
from support.stores import accepted_for, add

from caxton.bus.stores.sqlite import SqliteMessageStore
from caxton.domain.agent import MemoryScope
from caxton.domain.delivery import Bury, Failure, Remember
from caxton.domain.errors import CaxtonError, Code, ErrorReport
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryEntry, MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode
from caxton.domain.message import Message, Performative, Summary
from caxton.memory.integrity import disagreements
from caxton.memory.sqlite import open_sqlite_memory
from caxton.storage import migrate
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock
from caxton.testing.embedder import WordEmbedder
from caxton.wiring import rescue_database

SPACE = MemorySpace(scope=MemoryScope.AGENT, owner="helper")
PAGE = 4096
ENTRIES, MESSAGES = 400, 200


@pytest.fixture
async def path(tmp_path):
    """A database with a memory, relations, tags, messages and a summary."""
    path, clock = tmp_path / "caxton.db", FakeClock()
    new_id = IdSource(clock)
    async with (
        open_database(path) as database,
        open_sqlite_memory(database, WordEmbedder(), clock=clock, new_id=new_id) as memory,
    ):
        entries = await memory.remember(
            SPACE, [NewMemory(value=f"word{n} {'tea ' * 20}", key=f"k{n}", tags=("t",)) for n in range(ENTRIES)]
        )
        for one, other in pairwise(entries):
            await memory.relate([SPACE], one.id, "next", other.id)
        store = SqliteMessageStore(database)
        for number in range(MESSAGES):
            message = Message(
                id=new_id(),
                performative=Performative.REQUEST,
                sender="zoe",
                receiver="helper",
                conversation_id=f"c{number // 4}",
                created_at=float(number),
                content={"text": f"text {number} {'x' * 300}"},
            )
            await add(store, message)
        await store.summarize(Summary(conversation_id="c1", agent="helper", text="They met.", upto="m", created_at=1.0))
    return path


async def held(path):
    """Entries and conversations of the database, after a look whether everything in it agrees and is found."""
    clock = FakeClock()
    async with (
        open_database(path) as database,
        open_sqlite_memory(database, WordEmbedder(), clock=clock, new_id=IdSource(clock)) as memory,
    ):
        assert await disagreements(database) == []
        await memory.settle()  # vectors that were lost are made again in the background
        entries = [one async for one in memory.export(MemoryFilter(spaces=None)) if isinstance(one, MemoryEntry)]
        for entry in random.sample(entries, min(len(entries), 20)):
            filter = MemoryFilter(spaces=(entry.space,))
            for mode in (SearchMode.EXACT, SearchMode.SEMANTIC):
                query = MemoryQuery(text=entry.value.split()[0], filter=filter, mode=mode, limit=5)
                assert entry.id in [hit.entry.id for hit in (await memory.search(query)).hits]
        store = SqliteMessageStore(database)
        return entries, await store.conversations(agent=None, limit=1000)


async def test_a_sound_database_is_the_same_afterwards(path):
    before = await held(path)
    counts = rescue_database(path)
    assert (counts["memory_entries"], counts["messages"], counts["memory_relations"]) == (400, 200, 399)
    assert await held(path) == before


@pytest.mark.parametrize("seed", range(8))
async def test_of_a_damaged_database_everything_is_saved_that_is_not_on_a_damaged_page(path, seed, tmp_path):
    entries, talks = await held(path)
    async with open_database(tmp_path / "empty.db"):
        pass
    # But for the schema and the roots of all tables: what they lead to is found by them alone.
    first = (tmp_path / "empty.db").stat().st_size // PAGE
    dice, data = random.Random(seed), bytearray(path.read_bytes())
    damaged = dice.sample(range(first, len(data) // PAGE), 4)
    for page in damaged:
        data[page * PAGE : (page + 1) * PAGE] = dice.randbytes(PAGE)
    path.write_bytes(data)
    rescue_database(path)
    left, kept = await held(path)
    known = {entry.id: entry.value for entry in entries}
    assert all(known[entry.id] == entry.value for entry in left)
    # A page holds some twenty of them; an inner page, more: most are there whatever was hit.
    assert len(left) > ENTRIES // 2
    assert len(kept) > len(talks) // 2
    assert path.with_suffix(".damaged.db").read_bytes() == data


async def test_what_holds_nothing_readable_is_told_and_left_as_it_is(tmp_path):
    path = tmp_path / "caxton.db"
    path.write_bytes(b"no database at all " * 1000)
    with pytest.raises(CaxtonError) as raised:
        rescue_database(path)
    assert raised.value.code is Code.STORAGE_FAILED
    assert path.read_bytes() == b"no database at all " * 1000
    assert not path.with_suffix(".damaged.db").exists()


async def test_an_earlier_damaged_file_and_a_running_server_are_not_run_over(path, tmp_path):
    async with open_database(path):
        with pytest.raises(CaxtonError, match="Another Caxton server"):
            rescue_database(path)
    rescue_database(path)
    with pytest.raises(CaxtonError, match=r"damaged\.db' is there already"):
        rescue_database(path)
    with pytest.raises(CaxtonError, match="There is no database"):
        rescue_database(tmp_path / "other.db")


async def test_messages_of_an_earlier_version_are_delivered_and_counted_afterwards(tmp_path, monkeypatch):
    path, known = tmp_path / "caxton.db", migrate.migrations()
    request = a_request(created_at=5.0, idempotency_key="k")
    with closing(apsw.Connection(str(path))) as connection:
        monkeypatch.setattr(migrate, "migrations", lambda: known[:8])
        migrate.migrate(connection, path)
        connection.execute(
            "INSERT INTO messages (id, conversation_id, agent, performative, state, body, sender, idempotency_key) "
            "VALUES (?, 'c', 'helper', 'request', 'accepted', ?, 'user', 'k')",
            (request.id, msgspec.json.encode(request)),
        )
        monkeypatch.setattr(migrate, "migrations", lambda: known)
    rescue_database(path)
    async with open_database(path) as database:
        store = SqliteMessageStore(database)
        assert await accepted_for(store, "helper") == [accepted(request)]
        assert store.keyed(receiver="helper", sender="user", key="k") == request
        assert await store.expire(9.0, unclaimed_before=6.0, running=(), limit=9) == [request]
        await store.append([a_request(conversation_id="c")])
        assert store.conversation("c").messages == 2


async def test_dead_letters_are_saved_with_what_they_died_of(tmp_path):
    path, message = tmp_path / "caxton.db", a_request()
    failure = Failure(attempt=1, at=3.0, error=ErrorReport(code=Code.INTERNAL, message="It failed."))
    async with open_database(path) as database:
        store = SqliteMessageStore(database)
        await store.append([message])
        await store.commit([Bury(message_id=message.id, failure=failure), Remember(agent="a", key="k", value=[1])])
    rescue_database(path)
    async with open_database(path) as database:
        store = SqliteMessageStore(database)
        assert store.dead_letter(message.id).failures == (failure,)
        assert await store.death_counts() == {("helper", "internal"): 1}
        assert store.recall("a", "k") == [1]
        assert store.conversation(message.conversation_id).messages == 1
