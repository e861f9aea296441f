"""The vectors of a small space, in memory whole.

Here and wherever one query is compared, it is by `vecdot`, row by row in the calling thread: the threads of a matrix
product, on processors that others use too, wait for one another ten times as long as they work.
"""

import numpy as np

from caxton.memory.signs import Floats, Mask, Numbers, grown


class ExactTable:
    """Vectors and numbers of the vectors of one space, in the order in which they came."""

    def __init__(self, dimension: int) -> None:
        self._numbers: Numbers = np.empty(0, dtype=np.int64)
        self._vectors: Floats = np.empty((0, dimension), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def numbers(self) -> Numbers:
        return self._numbers[: self._count]

    @property
    def vectors(self) -> Floats:
        return self._vectors[: self._count]

    @property
    def bytes(self) -> int:
        return self._numbers.nbytes + self._vectors.nbytes

    def add(self, numbers: Numbers, vectors: Floats) -> None:
        """Take in vectors whose numbers are above all that are there."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            room = max(end, len(self._numbers) + len(self._numbers) // 4)
            self._numbers = grown(self._numbers, (room,))
            self._vectors = grown(self._vectors, (room, self._vectors.shape[1]))
        self._numbers[self._count : end] = numbers
        self._vectors[self._count : end] = vectors
        self._count = end

    def keep(self, mask: Mask) -> None:
        """Drop every vector that the mask is false for."""
        self._numbers, self._vectors = self.numbers[mask], self.vectors[mask]
        self._count = len(self._numbers)

    def nearest(self, query: Floats, count: int, mask: Mask | None) -> dict[int, float]:
        """The numbers of the `count` nearest with their similarities, in no order."""
        scores = np.vecdot(self.vectors, query)
        if mask is not None:
            scores[~mask] = -np.inf
        best = np.argpartition(scores, -count)[-count:] if count < len(scores) else np.arange(len(scores))
        pairs = zip(self.numbers[best].tolist(), scores[best].tolist(), strict=True)
        return {number: score for number, score in pairs if score > -np.inf}
