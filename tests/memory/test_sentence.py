"""The embedder over sentence-transformers, with a double in the library's place.

Where the library is installed, the last test runs it on a real model. CI has it not: with torch it takes gigabytes.
"""

import importlib.util
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.memory.onnx import TOKENIZER, OnnxEmbedder, installed
from caxton.memory.sentence import SentenceTransformersEmbedder


class Model:
    def __init__(self, name, device=None):
        if name == "missing":
            raise OSError("no such model")
        self.device = device

    def encode(self, texts, *, normalize_embeddings, show_progress_bar):
        assert normalize_embeddings
        assert not show_progress_bar
        if "explode" in texts:
            raise RuntimeError("CUDA out of memory")
        return np.array([[1.0, 0.0, float(len(text) * 0)] for text in texts], dtype=np.float64)


@pytest.fixture
def library(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Model))


@pytest.mark.usefixtures("library")
async def test_vectors_are_the_librarys(library):
    embedder = SentenceTransformersEmbedder(model="any")
    assert embedder.dimension is None
    assert [list(vector) for vector in await embedder.embed(["a", "b\ud800"])] == [[1, 0, 0]] * 2
    assert embedder.dimension == 3
    assert await embedder.embed([]) == []
    await embedder.aclose()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("model", "text"), [("missing", "a"), ("any", "explode")])
async def test_what_the_library_raises_is_a_clear_error(model, text):
    embedder = SentenceTransformersEmbedder(model=model)
    with pytest.raises(CaxtonError) as raised:
        await embedder.embed([text])
    assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
    assert raised.value.why
    await embedder.aclose()


async def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedder = SentenceTransformersEmbedder(model="any")
    with pytest.raises(CaxtonError) as raised:
        await embedder.embed(["a"])
    assert "caxton[sentence-transformers]" in raised.value.hint
    await embedder.aclose()


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.skipif(not importlib.util.find_spec("sentence_transformers"), reason="sentence-transformers is optional")
@pytest.mark.filterwarnings("ignore")
async def test_the_real_library_means_what_the_built_in_embedder_means(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ours, embedder = OnnxEmbedder(), SentenceTransformersEmbedder(model=str(installed(*TOKENIZER).parent))
    texts = [
        "The cat sleeps on the stove.",
        "A kitten naps by the fire.",
        "Rent is due on Friday.",
        "half \ud83d of one",
    ]
    vectors = await embedder.embed(texts)
    assert embedder.dimension == ours.dimension == 384
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1] * len(texts), abs=1e-5)
    assert near(vectors[0], vectors[1]) > 0.5 > 0.2 > near(vectors[0], vectors[2])
    for one, other in zip(vectors, await ours.embed(texts), strict=True):
        assert near(one, other) > 0.98
    await embedder.aclose()
    await ours.aclose()
