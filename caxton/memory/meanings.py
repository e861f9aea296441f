"""The embedder as the store sees it: held to the model and dimension that its vectors are recorded with."""

import asyncio
import logging
import struct
from collections import OrderedDict
from collections.abc import Sequence

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import Vector
from caxton.domain.ports.database import Session
from caxton.domain.ports.memory import Embedder

log = logging.getLogger(__name__)

RECORDED = "SELECT dimension FROM memory_models WHERE name = ? ORDER BY id DESC LIMIT 1"
FIND = "SELECT id, stale FROM memory_models WHERE name = ? AND dimension = ?"
RECORD = "INSERT INTO memory_models (name, dimension) VALUES (?, ?) RETURNING id"


RECENT = 64
"""Texts whose vectors are remembered."""
SEARCHING, STORING = 5.0, 2.0
"""Seconds that a search by words too waits for its meaning, and that an entry waits for its own before it is stored
without. The first may have to wait until the model is loaded."""
PAUSES = 5.0, 60.0
"""Seconds for which an embedder that was too slow is not waited for: at first, and at most."""


class Meanings:
    """`dimension` is what vectors must have, None until that is known; `error` why there were none last time."""

    def __init__(self, embedder: Embedder, recorded: int | None) -> None:
        """`recorded` is the dimension that vectors of this model have in the store, None where it has none."""
        self.model = embedder.model
        self.dimension = embedder.dimension or recorded
        self.error = ""
        self._embedder = embedder
        self._recent: OrderedDict[str, Vector] = OrderedDict()
        self._pause = 0.0
        self._paused_until = 0.0

    async def of(self, texts: Sequence[str]) -> list[Vector]:
        """A vector for each text; CaxtonError `embedder_unavailable` or `embedding_invalid`.

        One that comes alone is remembered for a while: what an agent is told is looked for before it answers, and kept
        after.
        """
        if len(texts) == 1 and (known := self._recent.get(texts[0])) is not None:
            return [known]
        try:
            vectors = await self._embedder.embed(texts)
            self._check(vectors, len(texts))
        except CaxtonError as error:
            if self.error != error.message:
                log.warning("embedding fails: %s %s", error, error.why)
            self.error = error.message
            raise
        self.error = ""
        self._pause = self._paused_until = 0.0
        if len(texts) == 1:
            self._recent[texts[0]] = vectors[0]
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return vectors

    async def soon(self, texts: Sequence[str], seconds: float) -> list[Vector]:
        """The same for somebody who waits for a reply: `embedder_unavailable` after that time.

        Then at once for a while, so that an embedder that has stalled delays one turn and not every one.
        """
        now = asyncio.get_running_loop().time()
        if now < self._paused_until and not (len(texts) == 1 and texts[0] in self._recent):
            raise self._slow("was too slow a moment ago, and is not waited for")
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await self.of(texts)
        except TimeoutError:
            if not deadline.expired():
                raise
            shortest, longest = PAUSES
            self._pause = min(longest, max(shortest, 2 * self._pause))
            self._paused_until = asyncio.get_running_loop().time() + self._pause
            error = self._slow(f"did not answer within {seconds:g} s")
            log.warning("embedding is put off: %s", error)
            self.error = error.message
            raise error from None

    def accept_any(self) -> None:
        """Take the embedder's word for the dimension from now on, whatever is recorded."""
        self.dimension = self._embedder.dimension
        self._recent.clear()

    def id(self, session: Session) -> int | None:
        """The model's id in the store, None where nothing was embedded with it yet."""
        rows = session.execute(FIND, (self.model, self.dimension))
        return rows[0][0] if rows else None

    def stale(self, session: Session) -> int:
        """The number up to which the model's vectors are to be made anew."""
        rows = session.execute(FIND, (self.model, self.dimension))
        return rows[0][1] if rows else 0

    def record(self, session: Session) -> int:
        """The model's id, recorded if need be."""
        if (known := self.id(session)) is not None:
            return known
        made: int = session.execute(RECORD, (self.model, self.dimension))[0][0]
        return made

    def _slow(self, what: str) -> CaxtonError:
        return CaxtonError(Code.EMBEDDER_UNAVAILABLE, f"The embedding model {self.model!r} {what}.")

    def _check(self, vectors: Sequence[Vector], count: int) -> None:
        if len(vectors) != count:
            raise CaxtonError(Code.EMBEDDING_INVALID, f"{self.model!r} gave {len(vectors)} vectors for {count} texts.")
        for vector in vectors:
            if self.dimension is None:
                self.dimension = len(vector)
            if len(vector) != self.dimension:
                raise CaxtonError(
                    Code.EMBEDDING_INVALID,
                    f"The embedding model {self.model!r} gave a vector of {len(vector)} numbers; those stored have"
                    f" {self.dimension}.",
                    hint="If the model was changed on purpose, embed everything anew: `caxton memory reindex`.",
                )


def recorded_dimension(session: Session, model: str) -> int | None:
    rows = session.execute(RECORDED, (model,))
    return rows[0][0] if rows else None


def packed(vector: Vector) -> bytes:
    """A vector as it is stored: little-endian, in half precision."""
    return struct.pack(f"<{len(vector)}e", *vector)
