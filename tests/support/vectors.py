"""An embedder over vectors that a test makes."""

from array import array
from collections.abc import Sequence

import numpy as np

from caxton.domain.memory import Vector


class GivenVectors:
    """Implements `ports.memory.Embedder`: a text is the number of a row of `rows`."""

    model = "given"

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        self.dimension: int | None = rows.shape[1]

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [array("f", self.rows[int(text)].tobytes()) for text in texts]

    async def aclose(self) -> None:
        pass
