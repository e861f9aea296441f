"""An embedder that needs no model."""

import asyncio
import hashlib
import math
import re
from array import array
from collections.abc import Sequence

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import Vector


class WordEmbedder:
    """Implements `ports.memory.Embedder`: texts are the closer the more words they share.

    It fails while `broken` is set, and answers nothing until the event that `stalled` may be is set. `asked` holds
    every text that it was given.
    """

    def __init__(self, model: str = "words", dimension: int = 64) -> None:
        self.model = model
        self.dimension: int | None = dimension
        self.broken = False
        self.stalled: asyncio.Event | None = None
        self.asked: list[str] = []
        self._size = dimension

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.asked += texts
        if self.stalled:
            await self.stalled.wait()
        if self.broken:
            raise CaxtonError(Code.EMBEDDER_UNAVAILABLE, "The test has broken the embedder.")
        return [self._vector(text) for text in texts]

    async def aclose(self) -> None:
        pass

    def _vector(self, text: str) -> Vector:
        total = [1e-3] * self._size
        for word in re.findall(r"\w+", text.lower()):
            seed = f"{self.model} {word}".encode()
            noise = hashlib.shake_256(seed).digest(self._size)
            total = [number + byte - 127.5 for number, byte in zip(total, noise, strict=True)]
        length = math.sqrt(sum(number * number for number in total))
        return array("f", [number / length for number in total])
