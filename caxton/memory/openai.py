"""Embeddings from an endpoint that speaks the OpenAI protocol: hosted ones, Ollama, LocalAI, vLLM, llama.cpp."""

import asyncio
import math
from array import array
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import Vector

BATCH = 64
"""Texts a request."""
MAX_CHARACTERS = 16_384
"""Of each text; endpoints refuse what is longer than their model takes, mostly 8,192 tokens."""
LONGEST_DETAIL = 500
"""Characters of the endpoint's own words that are passed on."""


class Embedding(msgspec.Struct, frozen=True):
    index: int
    embedding: list[float]


class Embeddings(msgspec.Struct, frozen=True):
    data: list[Embedding]


class OpenAIEmbedder:
    """Implements `ports.memory.Embedder` by `POST {base_url}/embeddings`."""

    def __init__(
        self, *, model: str, base_url: str, key: str = "", dimension: int | None = None, timeout: float = 30.0
    ) -> None:
        """`key` empty sends none; `dimension` asks for vectors cut to that; `timeout` is in seconds, for a request."""
        self.model = model
        self.dimension = dimension
        self._asked = dimension
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._key = key
        self._timeout = timeout
        self._client: asyncio.Future[Any] | None = None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        vectors: list[Vector] = []
        for first in range(0, len(texts), BATCH):
            vectors += await self._ask([_cut(text) for text in texts[first : first + BATCH]])
        return vectors

    async def aclose(self) -> None:
        if self._client is not None:
            await (await self._client).aclose()

    async def _ask(self, texts: list[str]) -> list[Vector]:
        client = await self._connected()
        body: dict[str, Any] = {"model": self.model, "input": texts, "encoding_format": "float"}
        if self._asked:
            body["dimensions"] = self._asked
        try:
            async with asyncio.timeout(self._timeout):
                answer = await client.post(self._url, content=msgspec.json.encode(body))
        except TimeoutError:
            raise self._unavailable(f"did not answer within {self._timeout:g} s") from None
        except Exception as error:  # connections and addresses fail in as many kinds as the library has
            raise self._unavailable("cannot be reached", str(error) or type(error).__name__) from error
        if answer.status_code != 200:
            raise self._unavailable(f"answered with status {answer.status_code}", answer.text)
        try:
            data = msgspec.json.decode(answer.content, type=Embeddings).data
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._invalid(str(error)) from error
        if sorted(one.index for one in data) != list(range(len(texts))):
            raise self._invalid(f"{len(texts)} texts got {len(data)} vectors, or the same one twice")
        return [self._vector(one.embedding) for one in sorted(data, key=lambda one: one.index)]

    def _vector(self, numbers: list[float]) -> Vector:
        length = math.sqrt(math.fsum(number * number for number in numbers))
        if not length or not math.isfinite(length):
            raise self._invalid("a vector has no direction")
        if self.dimension not in (None, len(numbers)):
            raise self._invalid(f"a vector has {len(numbers)} numbers; {self.dimension} were expected")
        self.dimension = len(numbers)
        return array("f", [number / length for number in numbers])

    async def _connected(self) -> Any:
        if self._client is None:
            self._client = asyncio.ensure_future(asyncio.to_thread(self._connect))
        return await asyncio.shield(self._client)

    def _connect(self) -> Any:
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        return import_module("httpx2").AsyncClient(timeout=self._timeout, headers=headers)

    def _unavailable(self, what: str, why: str = "") -> CaxtonError:
        return CaxtonError(
            Code.EMBEDDER_UNAVAILABLE,
            f"The embedding endpoint {self._url!r} {what}.",
            why=self._without_key(why)[:LONGEST_DETAIL],
        )

    def _invalid(self, why: str) -> CaxtonError:
        return CaxtonError(
            Code.EMBEDDING_INVALID,
            f"The embedding endpoint {self._url!r} answered wrongly for model {self.model!r}.",
            why=self._without_key(why)[:LONGEST_DETAIL],
        )

    def _without_key(self, words: str) -> str:
        return words.replace(self._key, "[key]") if self._key else words


def _cut(text: str) -> str:
    """An endpoint refuses an empty input, and JSON holds no lone surrogate."""
    return text[:MAX_CHARACTERS].encode(errors="replace").decode() or " "
