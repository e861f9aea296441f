"""The embedder as the store sees it."""

import asyncio

import pytest

from caxton.domain.errors import CaxtonError, Code
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


async def test_one_that_stalls_is_waited_for_once_and_again_when_it_has_answered():
    embedder = WordEmbedder()
    meanings = Meanings(embedder, None)
    known = await meanings.of(["tea"])
    embedder.stalled = asyncio.Event()
    for text, words in (("milk", "did not answer within 0.01 s"), ("rain", "too slow")):
        with pytest.raises(CaxtonError, match=words) as raised:
            await meanings.soon([text], 0.01)
        assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
    assert await meanings.soon(["tea"], 0.01) == known
    assert embedder.asked == ["tea", "milk"]
    embedder.stalled.set()
    await meanings.of(["sun"])
    assert meanings.error == ""
    assert await meanings.soon(["rain"], 60)


async def test_one_that_stalls_again_is_left_alone_for_longer(monkeypatch):
    monkeypatch.setattr("caxton.memory.meanings.PAUSES", (0.0, 3.0))
    embedder = WordEmbedder()
    embedder.stalled = asyncio.Event()
    meanings = Meanings(embedder, None)
    for _ in range(2):
        with pytest.raises(CaxtonError, match="did not answer"):
            await meanings.soon(["tea"], 0.001)
    assert len(embedder.asked) == 2
