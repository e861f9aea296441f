"""The coarse pass of a vector search: one bit a dimension, compared by XOR and counting.

The bits are the signs of the vector, less the mean of its space, in randomly rotated axes: the rotation spreads what
the vectors have in common evenly over the bits, so that the number of equal bits says how close two vectors are (the
analysis is that of RaBitQ, Gao and Long, SIGMOD 2024).
"""

import hashlib
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[np.int64]
Words: TypeAlias = npt.NDArray[np.uint64]
Mask: TypeAlias = npt.NDArray[np.bool_]

SEED = b"caxton memory rotation 1"
"""Signs on disk are taken in the axes that this makes: never to be changed."""
BLOCK = 8192
"""Vectors compared together: what is computed of them stays in the processor's cache."""


@lru_cache(maxsize=4)
def rotation(dimension: int) -> Floats:
    """The new axes of a fixed random rotation, a row each, the same on every machine but for rounding.

    The Q of a QR decomposition is unique once the diagonal of R is positive; its input comes from a hash.
    """
    noise = np.frombuffer(hashlib.shake_256(SEED).digest(2 * dimension * dimension), dtype="<u2")
    q, r = np.linalg.qr(noise.reshape(dimension, dimension) - 32767.5)
    turned: Floats = np.ascontiguousarray((q * np.sign(np.diagonal(r))).T, dtype=np.float32)
    return turned


def signs(vectors: Floats, centre: Floats) -> Words:
    """The signs of `vectors` (n by dimension): words_for(dimension) by n words, a column a vector."""
    count, dimension = vectors.shape
    axes, moved = rotation(dimension), vectors - centre
    turned = np.vecdot(moved[:, None], axes) if count == 1 else moved @ axes.T
    bits = np.packbits(turned > 0, axis=1)
    padded = np.zeros((count, words_for(dimension) * 8), dtype=np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.ascontiguousarray(padded.view("<u8").astype(np.uint64, copy=False).T)


def words_for(dimension: int) -> int:
    return -(-dimension // 64)


class SignTable:
    """Signs and numbers of the vectors of one space, in the order in which they came.

    `saved` is the number of the last vector whose signs are on disk, with those of all before it.
    """

    def __init__(self, centre: Floats) -> None:
        self.centre = centre
        self.saved = 0
        self._numbers: Numbers = np.empty(0, dtype=np.int64)
        self._signs: Words = np.empty((words_for(len(centre)), 0), dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def numbers(self) -> Numbers:
        return self._numbers[: self._count]

    @property
    def signs(self) -> Words:
        return self._signs[:, : self._count]

    @property
    def bytes(self) -> int:
        return self._numbers.nbytes + self._signs.nbytes

    def add(self, numbers: Numbers, words: Words) -> None:
        """Take in vectors whose numbers are above all that are there."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            room = max(end, len(self._numbers) + len(self._numbers) // 4)
            self._numbers = grown(self._numbers, (room,))
            self._signs = grown(self._signs, (len(self._signs), room))
        self._numbers[self._count : end] = numbers
        self._signs[:, self._count : end] = words
        self._count = end

    def keep(self, mask: Mask) -> None:
        """Drop every vector that the mask is false for."""
        self._numbers, self._signs = self.numbers[mask], np.ascontiguousarray(self.signs[:, mask])
        self._count = len(self._numbers)

    def nearest(self, query: Floats, count: int, mask: Mask | None = None) -> Numbers:
        """The numbers of some `count` vectors (a few more where many are as near) with the most signs of the query."""
        held = len(self)
        if mask is None and held <= count:
            return self.numbers
        far = len(self.centre) + 1
        apart = self._apart(signs(query[None, :], self.centre)[:, 0])
        if mask is not None:
            apart[~mask] = far
        # How many are how far: cheaper than sorting, and the wanted ones are the first few of it.
        at_most = np.cumsum(np.bincount(apart, minlength=far))
        limit = min(int(np.searchsorted(at_most, count)), far - 1)
        return self.numbers[np.flatnonzero(apart <= limit)]

    def _apart(self, query: Words) -> npt.NDArray[np.uint16]:
        """How many signs each vector differs in."""
        held = len(self)
        apart = np.zeros(held, dtype=np.uint16)
        differing = np.empty(BLOCK, dtype=np.uint64)
        counted = np.empty(BLOCK, dtype=np.uint8)
        for first in range(0, held, BLOCK):
            end = min(first + BLOCK, held)
            size, total = end - first, apart[first:end]
            for row, word in zip(self._signs, query, strict=True):
                np.bitwise_xor(row[first:end], word, out=differing[:size])
                np.bitwise_count(differing[:size], out=counted[:size])
                np.add(total, counted[:size], out=total)
        return apart


def grown(array: Any, shape: tuple[int, ...]) -> Any:
    """A copy of an array with room for more."""
    larger = np.empty(shape, dtype=array.dtype)
    larger[tuple(map(slice, array.shape))] = array
    return larger
