"""Which embedder settings come to; nothing is loaded for that."""

import sys

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import EmbedderSettings
from caxton.memory.embedders import KINDS, OPENAI_MODEL, SENTENCE_MODEL, embedder
from caxton.testing.openai_server import open_openai_server


def test_without_settings_the_built_in_model_is_used():
    made = embedder(EmbedderSettings(), {})
    assert (made.model, made.dimension) == ("all-MiniLM-L6-v2", 384)


@pytest.mark.parametrize(
    ("kind", "model"),
    [("onnx", "all-MiniLM-L6-v2"), ("sentence-transformers", SENTENCE_MODEL), ("openai", OPENAI_MODEL)],
)
def test_every_kind_has_a_model_and_takes_another(kind, model):
    assert embedder(EmbedderSettings(kind=kind), {}).model == model
    assert embedder(EmbedderSettings(kind=kind, model="own"), {}).model == "own"


def test_every_kind_is_made_without_its_library(monkeypatch):
    for library in ("onnxruntime", "tokenizers", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, library, None)
    for kind in KINDS:
        assert embedder(EmbedderSettings(kind=kind), {}).model


def test_a_kind_that_there_is_not_is_told_with_those_there_are():
    with pytest.raises(CaxtonError, match="'magic'") as raised:
        embedder(EmbedderSettings(kind="magic"), {})
    assert raised.value.code is Code.CONFIGURATION_INVALID
    assert all(kind in raised.value.message for kind in KINDS)


async def test_the_files_of_the_settings_are_those_that_are_read(tmp_path):
    made = embedder(EmbedderSettings(weights=tmp_path / "own.onnx", tokenizer=tmp_path / "own.json"), {})
    with pytest.raises(CaxtonError, match=r"own\.") as raised:
        await made.embed(["a"])
    assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
    await made.aclose()


async def test_the_key_comes_from_the_environment_and_goes_to_the_endpoint():
    async with open_openai_server() as server:
        settings = EmbedderSettings(kind="openai", base_url=server.url, api_key_env="THE_KEY", dimension=7)
        made = embedder(settings, {"THE_KEY": " sk-secret\n", "OPENAI_API_KEY": "sk-other"})
        assert made.dimension == 7
        with pytest.raises(CaxtonError):
            await made.embed(["a"])
        assert server.asked[0].headers["authorization"] == "Bearer sk-secret"
        await made.aclose()
