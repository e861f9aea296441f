"""Search by meaning in large and small spaces, with inserts and deletes in between, and after damage."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.vectors import GivenVectors

from caxton.domain.agent import MemoryScope
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode
from caxton.memory import tables
from caxton.memory.sqlite import open_sqlite_memory
from caxton.memory.tables import Tables
from caxton.storage.database import open_database
from caxton.testing.clock import FakeClock

COUNT, DIMENSION, QUERIES, K = 12_000, 192, 30, 10
OTHER = MemorySpace(scope=MemoryScope.GLOBAL)
HOME = MemorySpace(scope=MemoryScope.AGENT, owner="helper")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Clustered vectors: 307 of 39 each."""
    random = np.random.default_rng(11)
    centres = random.standard_normal((307, DIMENSION))
    return (centres[np.arange(COUNT + 100) % 307] + 0.7 * random.standard_normal((COUNT + 100, DIMENSION))).astype("f4")


async def fill(memory, space, numbers):
    numbers = list(numbers)
    for first in range(0, len(numbers), 2000):
        some = numbers[first : first + 2000]
        await memory.remember(space, [NewMemory(value=n, tags=("even",) if n % 2 == 0 else ()) for n in some])


async def nearest(memory, space, number, **fields):
    filter = MemoryFilter(spaces=(space,), **fields)
    query = MemoryQuery(text=str(number), filter=filter, mode=SearchMode.SEMANTIC, limit=K)
    return [hit.entry.value for hit in (await memory.search(query)).hits]


async def recall(memory, space, embedder, alive, **fields):
    """The share of the true nearest that are found, over some queries that are not stored."""
    alive = np.asarray(sorted(alive))
    held, among = embedder.rows[alive], set(alive.tolist())
    hits = 0
    for number in range(COUNT, COUNT + QUERIES):
        best = alive[np.argpartition(np.vecdot(held, embedder.rows[number]), -K)[-K:]]
        found = await nearest(memory, space, number, **fields)
        assert set(found) <= among
        hits += len(set(found) & set(best.tolist()))
    return hits / (QUERIES * K)


def small(exact=2000) -> Tables:
    return Tables(exact=exact)


@pytest.mark.parametrize("exact", [20_000, 2000], ids=["scored outright", "by signs"])
async def test_the_nearest_are_found_among_other_spaces_and_filters_and_deletes(opened, space, rows, exact):
    embedder = GivenVectors(rows)
    async with opened(embedder, tables=small(exact)) as (_, memory):
        await fill(memory, OTHER, range(0, COUNT, 20))
        await fill(memory, space, range(COUNT // 2))
        assert await recall(memory, space, embedder, range(COUNT // 2)) >= 0.99
        # Inserts between searches.
        await fill(memory, space, range(COUNT // 2, COUNT))
        assert await recall(memory, space, embedder, range(COUNT)) >= 0.99
        assert await recall(memory, space, embedder, range(0, COUNT, 2), tags=("even",)) >= 0.99
        # A few deletes, which are tolerated, and then many, which are cleared away.
        for gone in (50, 9000):
            entries = await memory.newest(MemoryFilter(spaces=(space,)), limit=gone)
            await memory.forget(MemoryFilter(spaces=(space,), ids=tuple(entry.id for entry in entries)))
            alive = {entry.value for entry in await memory.newest(MemoryFilter(spaces=(space,)), limit=COUNT)}
            assert await recall(memory, space, embedder, alive) >= 0.99


async def test_inserts_and_deletes_while_searching_lose_nothing(opened, space, rows):
    embedder = GivenVectors(rows)
    async with opened(embedder, tables=small()) as (_, memory):
        await fill(memory, space, range(3000))

        async def writer(first):
            for n in range(first, first + 200):
                (entry,) = await memory.remember(space, [NewMemory(value=n)])
                assert (await nearest(memory, space, n))[0] == n
                if n % 3 == 0:
                    await memory.forget(MemoryFilter(spaces=(space,), ids=(entry.id,)))
                    assert n not in await nearest(memory, space, n)

        await asyncio.gather(*(writer(first) for first in range(3000, 4000, 200)))
        alive = {*range(3000), *(n for n in range(3000, 4000) if n % 3)}
        assert await recall(memory, space, embedder, alive) >= 0.99


def page_count(database):
    return database.read(lambda session: session.execute("SELECT count(*) FROM memory_pages"))[0][0]


@pytest.fixture(scope="module")
def written(rows, tmp_path_factory):
    """A database with a space whose signs were written down: two pages, and what is not enough for another."""
    path = tmp_path_factory.mktemp("written") / "caxton.db"

    async def write() -> None:
        clock = FakeClock()
        async with open_database(path) as database:
            made = open_sqlite_memory(database, GivenVectors(rows), clock=clock, new_id=IdSource(clock), tables=small())
            async with made as memory:
                await fill(memory, HOME, range(10_000))
                await nearest(memory, HOME, 0)
                await memory.settle()
            assert page_count(database) == 2

    # In a thread: the test's own loop is there already.
    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, write()).result()
    return path


class TestPages:
    """Signs on disk."""

    @pytest.fixture
    def kept(self, written, rows, tmp_path):
        """The embedder of a copy of that, which is the test's database."""
        shutil.copy(written, tmp_path / "caxton.db")
        return GivenVectors(rows)

    async def test_they_are_read_at_the_next_start(self, opened, space, kept, monkeypatch):
        made = []

        def counting(vectors, centre):
            made.append(len(vectors))
            return real(vectors, centre)

        real = tables.signs
        monkeypatch.setattr(tables, "signs", counting)
        async with opened(kept, tables=small()) as (_, memory):
            assert await recall(memory, space, kept, range(10_000)) >= 0.99
        assert sum(made) == 10_000 - 2 * 4096

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE memory_pages SET signs = zeroblob(length(signs))",
            "UPDATE memory_pages SET signs = x'00'",
            "UPDATE memory_pages SET numbers = zeroblob(length(numbers))",
            "UPDATE memory_pages SET numbers = x''",
            "UPDATE memory_pages SET checksum = checksum + 1 WHERE after > 0",
            "UPDATE memory_pages SET after = after + 1",
            "UPDATE memory_pages SET after = 10000 - after",
            "DELETE FROM memory_pages WHERE after = 0",
            "DELETE FROM memory_pages",
            "UPDATE memory_indexes SET centre = NULL",
            "UPDATE memory_indexes SET centre = x'0102'",
            "UPDATE memory_indexes SET centre = zeroblob(length(centre))",
        ],
    )
    async def test_damaged_ones_are_made_anew_from_the_rows(self, opened, space, kept, damage):
        async with opened(kept, tables=small()) as (database, memory):
            await database.write(lambda session: session.execute(damage))
            assert await recall(memory, space, kept, range(10_000)) >= 0.99
            await memory.settle()
            assert page_count(database) == 2
        async with opened(kept, tables=small()) as (_, memory):
            assert await recall(memory, space, kept, range(10_000)) >= 0.99

    async def test_they_go_with_their_space_and_are_thinned_with_it(self, opened, space, kept):
        async with opened(kept, tables=small()) as (database, memory):
            entries = await memory.newest(MemoryFilter(spaces=(space,)), limit=7000)
            await memory.forget(MemoryFilter(spaces=(space,), ids=tuple(entry.id for entry in entries)))
            assert await recall(memory, space, kept, range(3000)) >= 0.99
            await memory.forget(MemoryFilter(spaces=(space,)))
            assert await nearest(memory, space, 0) == []
            assert page_count(database) == 0

    async def test_memory_is_bounded(self, opened, space, kept):
        async with opened(kept, tables=Tables(exact=2000, budget=1)) as (_, memory):
            await fill(memory, OTHER, range(500))
            for _ in range(2):
                assert (await nearest(memory, space, 7))[0] == 7
                assert (await nearest(memory, OTHER, 7))[0] == 7
