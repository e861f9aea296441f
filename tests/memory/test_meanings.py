"""The embedder as the store sees it."""

from caxton.memory.meanings import RECENT, Meanings
from caxton.testing.embedder import WordEmbedder


async def test_a_text_that_is_looked_for_and_then_kept_is_embedded_once():
    embedder = WordEmbedder()
    meanings = Meanings(embedder, None)
    assert await meanings.of(["tea with milk"]) == await meanings.of(["tea with milk"])
    assert embedder.asked == ["tea with milk"]


async def test_texts_that_come_together_are_not_remembered():
    embedder = WordEmbedder()
    meanings = Meanings(embedder, None)
    await meanings.of(["tea", "milk"])
    await meanings.of(["tea"])
    assert embedder.asked == ["tea", "milk", "tea"]


async def test_no_more_are_remembered_than_is_said():
    embedder = WordEmbedder()
    meanings = Meanings(embedder, None)
    for number in range(RECENT + 1):
        await meanings.of([f"text {number}"])
    await meanings.of([f"text {RECENT}"])
    await meanings.of(["text 0"])
    assert embedder.asked[RECENT:] == [f"text {RECENT}", "text 0"]


async def test_another_dimension_is_embedded_anew():
    embedder = WordEmbedder()
    meanings = Meanings(embedder, None)
    await meanings.of(["tea"])
    meanings.accept_any()
    await meanings.of(["tea"])
    assert embedder.asked == ["tea", "tea"]
