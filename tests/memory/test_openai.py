"""The embedder over the OpenAI protocol, against the double."""

import json

import numpy as np
import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.memory.openai import BATCH, OpenAIEmbedder
from caxton.testing.openai_server import answers, fails, open_openai_server, reset, stall

KEY = "sk-very-secret"


def vectors(*rows, order=None):
    data = [{"index": i, "embedding": list(row), "object": "embedding"} for i, row in enumerate(rows)]
    return answers(json.dumps({"object": "list", "data": data[::-1], "model": "m", "usage": {}}).encode())


@pytest.fixture
async def server():
    async with open_openai_server() as server:
        yield server


@pytest.fixture
async def embedder(server):
    embedder = OpenAIEmbedder(model="m", base_url=server.url, key=KEY, timeout=5)
    yield embedder
    await embedder.aclose()


async def test_vectors_come_in_order_and_at_length_one(server, embedder):
    server.then(vectors([3, 4], [0, -2]))
    first, second = await embedder.embed(["a", "b"])
    assert list(first) == pytest.approx([0.6, 0.8])
    assert list(second) == pytest.approx([0, -1])
    assert embedder.dimension == 2
    (asked,) = server.asked
    assert asked.path.endswith("/v1/embeddings")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {"model": "m", "input": ["a", "b"], "encoding_format": "float"}


async def test_many_texts_are_asked_for_in_batches_and_odd_ones_made_sendable(server, embedder):
    server.then(vectors(*np.eye(BATCH)), vectors([1.0] * BATCH))
    assert len(await embedder.embed([*["x"] * (BATCH - 1), "", "a\ud800"])) == BATCH + 1
    assert [len(asked.body["input"]) for asked in server.asked] == [BATCH, 1]
    assert server.asked[1].body["input"] == ["a?"]
    assert server.asked[0].body["input"][-1] == " "


async def test_a_dimension_is_asked_for_and_insisted_on(server):
    embedder = OpenAIEmbedder(model="m", base_url=server.url, dimension=3)
    server.then(vectors([1, 0, 0]), vectors([1, 0]))
    assert len((await embedder.embed(["a"]))[0]) == 3
    assert server.asked[0].body["dimensions"] == 3
    assert "authorization" not in server.asked[0].headers
    with pytest.raises(CaxtonError, match="answered wrongly") as raised:
        await embedder.embed(["a"])
    assert raised.value.code is Code.EMBEDDING_INVALID
    assert "2 numbers; 3 were expected" in raised.value.why
    await embedder.aclose()


@pytest.mark.parametrize(
    "scene", [answers(b"hello"), answers(b"{}"), answers(b"\xff"), vectors(), vectors([0, 0]), vectors([1], [1])]
)
async def test_an_answer_that_is_not_the_vectors_asked_for_is_invalid(server, embedder, scene):
    server.then(scene)
    with pytest.raises(CaxtonError) as raised:
        await embedder.embed(["a"])
    assert raised.value.code is Code.EMBEDDING_INVALID


@pytest.mark.parametrize("scene", [fails(401, {"message": f"bad key {KEY}"}), fails(500), reset])
async def test_an_endpoint_that_fails_is_unavailable_and_the_key_stays_secret(server, embedder, scene):
    server.then(scene)
    with pytest.raises(CaxtonError) as raised:
        await embedder.embed(["a"])
    assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
    assert KEY not in raised.value.message + raised.value.why


async def test_an_endpoint_that_does_not_answer_is_given_up(server):
    embedder = OpenAIEmbedder(model="m", base_url=server.url, timeout=0.05)
    server.then(stall)
    with pytest.raises(CaxtonError, match="within"):
        await embedder.embed(["a"])
    await embedder.aclose()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "nonsense", "http://"])
async def test_an_address_that_leads_nowhere_is_unavailable(url):
    embedder = OpenAIEmbedder(model="m", base_url=url)
    with pytest.raises(CaxtonError) as raised:
        await embedder.embed(["a"])
    assert raised.value.code is Code.EMBEDDER_UNAVAILABLE
    await embedder.aclose()
