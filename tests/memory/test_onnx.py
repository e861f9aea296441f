"""The default embedder, with the real model."""

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.memory import onnx
from caxton.memory.onnx import DIMENSION, MODEL, WEIGHTS, OnnxEmbedder, installed

TEXTS = ["A cat sits on the mat.", "The kitten rests upon a rug.", "Quarterly revenue rose by nine percent."]


@pytest.fixture
async def embedder():
    embedder = OnnxEmbedder()
    yield embedder
    await embedder.aclose()


async def test_texts_of_one_meaning_are_closer_than_texts_of_two(embedder):
    cat, kitten, revenue = map(np.asarray, await embedder.embed(TEXTS))
    assert cat @ kitten > 0.5 > cat @ revenue
    assert embedder.model == MODEL
    assert embedder.dimension == DIMENSION == len(cat)


async def test_a_vector_has_length_one_and_does_not_depend_on_its_company(embedder):
    alone = [np.asarray((await embedder.embed([text]))[0]) for text in TEXTS]
    company = [f"{'word ' * (n * 7 % 90)}{n}" for n in range(25)]
    together = list(map(np.asarray, await embedder.embed([company[0], TEXTS[0], *company, TEXTS[1], TEXTS[2]])))
    for one, other in zip(alone, [together[1], *together[-2:]], strict=True):
        assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
        assert one @ other > 0.9999


async def test_vectors_come_in_the_order_of_their_texts_when_many_ask_at_once(embedder):
    texts = [f"{'really ' * (n % 13)}number {n}" for n in range(40)]
    whole = await embedder.embed(texts)
    single = await asyncio.gather(*(embedder.embed([text]) for text in texts))
    for one, (other,) in zip(whole, single, strict=True):
        assert np.asarray(one) @ np.asarray(other) > 0.9999


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "a\ud800b", "emoji 👋", "x" * 1_000_000, "word " * 100_000],
    ids=["empty", "NUL", "surrogate", "emoji", "long word", "long text"],
)
async def test_any_text_has_a_vector(embedder, text):
    (vector,) = await embedder.embed([text])
    assert np.isfinite(vector).all()


async def test_no_texts_load_no_model(embedder):
    assert await embedder.embed([]) == []


@pytest.mark.parametrize("content", [b"", b"not a model", None])
async def test_an_unreadable_model_is_a_clear_error_and_is_tried_again_when_mended(tmp_path, content):
    weights = tmp_path / "model.onnx"
    if content is not None:
        weights.write_bytes(content)
    embedder = OnnxEmbedder(weights=weights, name="own")
    for _ in range(2):
        with pytest.raises(CaxtonError) as raised:
            await embedder.embed(["hello"])
        assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
        assert "model.onnx" in raised.value.message
    weights.write_bytes(installed(*WEIGHTS).read_bytes())
    (vector,) = await embedder.embed(["hello"])
    assert len(vector) == embedder.dimension == DIMENSION
    await embedder.aclose()


async def test_an_unreadable_tokenizer_is_a_clear_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    embedder = OnnxEmbedder(tokenizer=tmp_path / "tokenizer.json")
    with pytest.raises(CaxtonError, match=r"tokenizer\.json"):
        await embedder.embed(["hello"])
    await embedder.aclose()


async def test_a_model_of_another_kind_is_a_clear_error(monkeypatch, embedder):
    def load(*files):
        return real(*files)._replace(inputs=frozenset(["input_ids"]))

    real = onnx._load
    monkeypatch.setattr(onnx, "_load", load)
    with pytest.raises(CaxtonError, match="not a sentence embedding model") as raised:
        await embedder.embed(TEXTS * 10)
    assert raised.value.code is Code.EMBEDDING_INVALID


async def test_a_caller_who_gives_up_does_not_take_the_model_from_the_others(embedder):
    first = asyncio.create_task(embedder.embed(["hello"]))
    second = asyncio.create_task(embedder.embed(["hello"]))
    await asyncio.sleep(0)
    first.cancel()
    assert len(await second) == 1


def test_importing_and_making_it_imports_nothing_heavy():
    code = (
        "import sys; from caxton.memory.onnx import OnnxEmbedder; OnnxEmbedder()\n"
        "assert not {'numpy', 'onnxruntime', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
