"""What goes wrong around a memory: models, disks, and data that has to be gone."""

import asyncio
import logging

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.domain.memory import MemoryFilter, MemoryLimits, MemoryQuery, NewMemory, SearchMode
from caxton.memory.integrity import disagreements
from caxton.memory.onnx import OnnxEmbedder
from caxton.testing.embedder import WordEmbedder


class Undecided(WordEmbedder):
    """An embedder whose dimension shows only in what it makes."""

    def __init__(self, dimension: int) -> None:
        super().__init__("undecided", dimension)
        self.dimension = None


async def found(memory, space, text, mode=SearchMode.SEMANTIC):
    result = await memory.search(MemoryQuery(text=text, filter=MemoryFilter(spaces=(space,)), mode=mode, limit=1))
    return [hit.entry.value for hit in result.hits]


async def values(memory, space):
    return {entry.value for entry in await memory.newest(MemoryFilter(spaces=(space,)), limit=1000)}


class TestModels:
    @pytest.fixture
    async def stored(self, opened, space):
        values = {f"word{n} common" for n in range(150)}
        async with opened() as (_, memory):
            await memory.remember(space, [NewMemory(value=value) for value in sorted(values)])
        return values

    async def test_after_a_change_of_model_everything_is_embedded_anew_and_words_find_it_meanwhile(
        self, opened, space, stored
    ):
        other = WordEmbedder("other", 32)
        other.broken = True
        async with opened(other) as (_, memory):
            assert (await memory.stats()).pending == 150
            assert await found(memory, space, "word7", SearchMode.EXACT) == ["word7 common"]
            other.broken = False
            await memory.settle()
            stats = await memory.stats()
            assert (stats.pending, stats.embedded, stats.model, stats.dimension) == (0, 150, "other", 32)
            assert await found(memory, space, "word7 common") == ["word7 common"]
        async with opened(other) as (database, memory):
            other.asked.clear()
            await memory.settle()
            assert other.asked == []
            models = database.read(lambda session: session.execute("SELECT DISTINCT model FROM memory_vectors"))
            assert len(models) == len(database.read(lambda s: s.execute("SELECT DISTINCT model FROM memory_indexes")))
            assert await disagreements(database) == []

    async def test_a_change_that_is_cut_short_goes_on_at_the_next_start(self, opened, space, stored):
        class Stops(WordEmbedder):
            async def embed(self, texts):
                self.broken = len(self.asked) > 60
                return await super().embed(texts)

        stops = Stops("other", 32)
        async with opened(stops) as (_, memory):
            with pytest.raises(CaxtonError):
                await memory.settle()
            assert 0 < (await memory.stats()).embedded < 150
        async with opened(WordEmbedder("other", 32)) as (database, memory):
            await memory.settle()
            assert (await memory.stats()).pending == 0
            assert await disagreements(database) == []

    async def test_going_back_before_anything_was_changed_costs_nothing(self, opened, space, stored):
        other = WordEmbedder("other", 32)
        other.broken = True
        async with opened(other) as (_, memory):
            with pytest.raises(CaxtonError):
                await memory.settle()
        first = WordEmbedder()
        async with opened(first) as (_, memory):
            await memory.settle()
            assert first.asked == []
            assert await found(memory, space, "word7 common") == ["word7 common"]

    async def test_vectors_of_another_dimension_are_refused_until_that_is_wanted(self, opened, space):
        async with opened(Undecided(16)) as (_, memory):
            await memory.remember(space, [NewMemory(value="old tea")])
        async with opened(Undecided(24)) as (database, memory):
            await memory.remember(space, [NewMemory(value="new milk")])
            with pytest.raises(CaxtonError, match="24 numbers; those stored have 16") as raised:
                await found(memory, space, "milk")
            assert raised.value.code is Code.EMBEDDING_INVALID
            assert memory.health().status is HealthStatus.DEGRADED
            assert await found(memory, space, "new milk", SearchMode.HYBRID) == ["new milk"]
            assert await values(memory, space) == {"old tea", "new milk"}
            await memory.reindex()
            await memory.settle()
            stats = await memory.stats()
            assert (stats.pending, stats.dimension, stats.error) == (0, 24, "")
            assert await found(memory, space, "old tea") == ["old tea"]
            assert await disagreements(database) == []

    async def test_too_few_vectors_are_refused(self, opened, space):
        class Lazy(WordEmbedder):
            async def embed(self, texts):
                return (await super().embed(texts))[:-1]

        async with opened(Lazy()) as (_, memory):
            await memory.remember(space, [NewMemory(value="tea")])
            assert (await memory.stats()).pending == 1
            assert "0 vectors for 1 texts" in (await memory.stats()).error

    async def test_an_unreadable_model_loses_nothing_and_words_go_on(self, opened, space, tmp_path):
        (tmp_path / "model.onnx").write_bytes(b"damaged")
        embedder = OnnxEmbedder(weights=tmp_path / "model.onnx", name="own")
        async with opened(embedder) as (_, memory):
            await memory.remember(space, [NewMemory(value="tea with milk")])
            result = await memory.search(MemoryQuery(text="milk", filter=MemoryFilter(spaces=(space,))))
            assert [hit.entry.value for hit in result.hits] == ["tea with milk"]
            assert "model.onnx" in result.warning
        await embedder.aclose()
        real = OnnxEmbedder()
        async with opened(real) as (_, memory):
            await memory.settle()
            assert await found(memory, space, "a hot drink") == ["tea with milk"]
        await real.aclose()

    @pytest.mark.parametrize("fault", [None, ZeroDivisionError("a fault of its own")])
    async def test_embedding_is_tried_again_in_the_background(self, opened, space, clock, caplog, fault):
        class Fails(WordEmbedder):
            async def embed(self, texts):
                if fault and self.broken and "tea" not in texts[0]:
                    raise fault
                return await super().embed(texts)

        embedder = Fails()
        embedder.broken = True
        async with opened(embedder) as (_, memory), asyncio.timeout(10):
            await memory.remember(space, [NewMemory(value="tea")])
            await clock.advance(61)
            embedder.broken = False
            while (await memory.stats()).pending:
                await clock.advance(1)
        assert any(record.levelno >= logging.WARNING for record in caplog.records)


class TestDisk:
    async def limit(self, database, spare: int) -> None:
        """Let the file grow by so many pages and no more, as a full disk would."""

        def work(session):
            ((pages,),) = session.execute("PRAGMA page_count")
            session.execute(f"PRAGMA max_page_count = {pages + spare}")

        await database.write(work)

    async def test_a_full_disk_is_told_and_nothing_is_lost(self, opened, space):
        async with opened() as (database, memory):
            kept = set()

            async def fill():
                for n in range(1000):
                    await memory.remember(space, [NewMemory(value=f"{n} {'tea ' * 50}")])
                    kept.add(f"{n} {'tea ' * 50}")

            await self.limit(database, 30)
            with pytest.raises(CaxtonError, match="full") as raised:
                await fill()
            assert raised.value.code is Code.STORAGE_FAILED
            assert kept
            assert await values(memory, space) == kept
            assert await found(memory, space, "tea", SearchMode.HYBRID)
            await self.limit(database, 10_000)
            assert await disagreements(database) == []
            await memory.remember(space, [NewMemory(value="milk")])
            assert await found(memory, space, "milk") == ["milk"]

    async def test_where_new_entries_do_not_fit_old_ones_can_be_forgotten(self, opened, space):
        async with opened() as (database, memory):
            for n in range(40):
                await memory.remember(space, [NewMemory(value=f"{n} {'x' * 3000}")])
            await self.limit(database, 3)
            assert await memory.trim(space, MemoryLimits(max_entries=10)) == 30
            await memory.remember(space, [NewMemory(value="milk")])
            assert await disagreements(database) == []


async def test_of_what_is_forgotten_of_a_person_nothing_is_left_in_the_file(opened, space, tmp_path):
    async with opened() as (_, memory):
        for n in range(30):
            value = f"Xanthippe lives in {n} Quux Lane"
            secret = NewMemory(value=value, subject="x", key=f"Zanzibar{n}", tags=("Yggdrasil",))
            await memory.remember(space, [secret, NewMemory(value=f"tea {n}")])
        await memory.forget(MemoryFilter(spaces=None, subject="x"))
        assert len(await values(memory, space)) == 30
    held = b"".join(file.read_bytes() for file in tmp_path.glob("caxton.db*")).lower()
    assert b"tea" in held
    for trace in (b"xanthippe", b"quux", b"zanzibar", b"yggdrasil"):
        assert trace not in held
