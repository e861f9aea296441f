"""Which words are searched for, and how lists are fused."""

import pytest

from caxton.domain.memory import MemoryFilter, MemoryQuery, NewMemory, SearchMode
from caxton.memory.words import MAX_RANKED, fused
from caxton.testing.embedder import WordEmbedder


def test_an_entry_of_both_lists_goes_before_those_of_one():
    assert list(fused([[1, 2, 3], [4, 3, 5]])) == [3, 1, 4, 2, 5]
    assert fused([[], []]) == {}


async def test_common_words_give_way_to_rare_ones_however_many_there_are(opened, space):
    async with opened() as (_, memory):
        for _ in range(3):
            await memory.remember(space, [NewMemory(value=f"common words everywhere {n % 7}") for n in range(1000)])
        await memory.remember(space, [NewMemory(value="common words and a rarity")])
        query = MemoryQuery(text="common words with a rarity", filter=MemoryFilter(spaces=(space,)), limit=1)
        (hit,) = (await memory.search(query)).hits
        assert hit.entry.value == "common words and a rarity"
        assert MAX_RANKED < 3000


@pytest.mark.parametrize(
    ("stored", "asked"), [("Crème brûlée", "creme brulee"), ("ÄRGER im BÜRO", "büro"), ("日本語", "日本語")]
)
async def test_case_and_accents_do_not_matter(opened, space, stored, asked):
    async with opened() as (_, memory):
        await memory.remember(space, [NewMemory(value=stored)])
        query = MemoryQuery(text=asked, filter=MemoryFilter(spaces=(space,)), mode=SearchMode.EXACT)
        assert [hit.entry.value for hit in (await memory.search(query)).hits] == [stored]


async def test_of_a_word_that_is_everywhere_the_newest_entries_are_ranked_unless_a_filter_wants_others(opened, space):
    embedder = WordEmbedder("words", 8)
    async with opened(embedder) as (_, memory):
        for first in range(0, MAX_RANKED + 500, 500):
            tags = ("old",) if first == 0 else ()
            await memory.remember(space, [NewMemory(value=f"common {n}", tags=tags) for n in range(first, first + 500)])
        embedder.broken = True

        async def numbers(**fields):
            filter = MemoryFilter(spaces=(space,), **fields)
            result = await memory.search(MemoryQuery(text="common", filter=filter, limit=1000))
            return {int(hit.entry.value.split()[1]) for hit in result.hits}

        assert len(await numbers()) == 1000
        assert min(await numbers()) >= 499
        assert await numbers(tags=("old",)) == set(range(500))
