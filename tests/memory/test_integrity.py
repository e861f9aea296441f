"""Whatever is at odds is noticed."""

import pytest

from caxton.domain.memory import NewMemory
from caxton.memory.integrity import disagreements


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM memory_words WHERE rowid = 1", "1 entries without their words"),
        ("INSERT INTO memory_words (rowid, text, space) VALUES (99, 'x', 's1')", "1 words without their entry"),
        ("UPDATE memory_vectors SET entry = 99 WHERE number = 1", "1 vectors without their entry"),
        ("UPDATE memory_vectors SET space = 99 WHERE number = 1", "1 vectors without their entry"),
        ("UPDATE memory_vectors SET vector = x'00' WHERE number = 1", "1 vectors of another size"),
        ("UPDATE memory_models SET dimension = 3", "3 vectors of another size"),
        ("UPDATE memory_spaces SET entries = entries + 1", "1 spaces whose counts"),
        ("UPDATE memory_spaces SET bytes = bytes + 1", "1 spaces whose counts"),
        ("UPDATE memory_entries SET space = 9", "3 entries without their space"),
        ("UPDATE memory_indexes SET vectors = vectors + 1", "1 indexes whose counts"),
        ("DELETE FROM memory_indexes", "3 vectors that no index"),
        ("DELETE FROM memory_tags WHERE entry = 1", "1 tags that differ"),
        ("UPDATE memory_relations SET target = 99", "1 relations without an end"),
        ("DELETE FROM memory_words_data WHERE id > 10", "the index of words is damaged"),
    ],
)
async def test_what_is_at_odds_is_told(opened, space, damage, told):
    async with opened() as (database, memory):
        entries = await memory.remember(space, [NewMemory(value=f"tea {n}", tags=("a", "b")) for n in range(3)])
        await memory.relate([space], entries[0].id, "next", entries[1].id)
        assert await disagreements(database) == []
        await database.write(lambda session: session.execute(damage))
        assert any(one.startswith(told) for one in await disagreements(database))


async def test_embedding_anew_makes_words_and_vectors_anew(opened, space):
    async with opened() as (database, memory):
        await memory.remember(space, [NewMemory(value=f"tea {n}") for n in range(3)])
        await database.write(lambda session: session.execute("DELETE FROM memory_words WHERE rowid = 1"))
        await database.write(lambda session: session.execute("UPDATE memory_vectors SET vector = x'00'"))
        await memory.reindex()
        await memory.settle()
        assert await disagreements(database) == []
