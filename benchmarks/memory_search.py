"""Search by meaning against a numpy float32 product and against bare sqlite-vec, over the same vectors in the same run.

`python -m benchmarks.memory_search [SIZE …]` for other sizes than 10,000 and 100,000.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import apsw
import numpy as np
import sqlite_vec

from benchmarks.measure import quantile
from caxton.domain.agent import MemoryScope
from caxton.domain.clock import SystemClock
from caxton.domain.identifiers import IdSource
from caxton.domain.memory import MemoryFilter, MemoryQuery, MemorySpace, NewMemory, SearchMode, Vector
from caxton.memory.onnx import OnnxEmbedder
from caxton.memory.sqlite import SqliteMemory, open_sqlite_memory
from caxton.storage.database import open_database

DIMENSION, QUERIES, K, TOGETHER = 384, 200, 10, 1000
SIZES = (10_000, 100_000)
VEC0_QUERIES = 50
"""It is asked less often: it takes long."""
SPACE = MemorySpace(scope=MemoryScope.AGENT, owner="bench")
OTHERS = [MemorySpace(scope=MemoryScope.AGENT, owner=f"other-{n}") for n in range(20)]
OTHER_SIZE = 1000
WORDS = [f"{a}{b}" for a in ("tea", "rain", "stone", "light", "sound") for b in ("", "s", "er", "ing", "ful", "less")]


class GivenVectors:
    """Implements `ports.memory.Embedder`: a text that begins with a number means the vector of that number."""

    model, dimension = "given", DIMENSION

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [array("f", self._vectors[int(text.split(" ", 1)[0])].tobytes()) for text in texts]

    async def aclose(self) -> None:
        pass


def like_real(count: int, seed: int = 7) -> np.ndarray:
    """Vectors of length 1 that share a direction, come in clusters, and vary less and less from axis to axis."""
    random = np.random.default_rng(seed)
    spread = (np.arange(1, DIMENSION + 1) ** -0.35).astype(np.float32)
    common = random.standard_normal(DIMENSION).astype(np.float32) * spread
    centres = random.standard_normal((2000, DIMENSION)).astype(np.float32) * spread
    made = np.empty((count, DIMENSION), dtype=np.float32)
    for first in range(0, count, 50_000):
        some = made[first : first + 50_000]
        some[:] = random.standard_normal(some.shape, dtype=np.float32) * spread
        some += centres[random.integers(0, len(centres), len(some))] + 0.5 * common
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return made[random.permutation(count)]


def text(number: int) -> str:
    return f"{number} {WORDS[number % 30]} {WORDS[number * 7 % 29]} {WORDS[number * 13 % 23]} the of and a to in is it"


async def fill(memory: SqliteMemory, count: int) -> float:
    """Entries a second, so many a transaction."""
    began = time.perf_counter()
    for first in range(0, count, TOGETHER):
        some = range(first, min(first + TOGETHER, count))
        await memory.remember(SPACE, [NewMemory(value=text(n), tags=("tenth",) if n % 10 == 0 else ()) for n in some])
    return count / (time.perf_counter() - began)


async def timed(runs: Sequence[Callable[[], Awaitable[object]]]) -> list[float]:
    waits = []
    for run in runs:
        began = time.perf_counter()
        await run()
        waits.append(time.perf_counter() - began)
    return waits


def told(waits: Sequence[float]) -> str:
    return f"p50 {statistics.median(waits) * 1e3:6.2f} ms, p99 {quantile(waits, 0.99) * 1e3:6.2f} ms"


async def measured(folder: Path, size: int) -> None:
    vectors = like_real(size + QUERIES)
    stored, queries, tenth = vectors[:size], vectors[size:], np.arange(0, size, 10)
    embedder, clock = GivenVectors(vectors), SystemClock()
    path = folder / f"{size}.db"

    async def searching(
        memory: SqliteMemory, mode: SearchMode, tags: tuple[str, ...] = ()
    ) -> tuple[list[float], list[set[int]]]:
        found: list[set[int]] = []

        async def one(number: int) -> None:
            words = text(number) if mode is SearchMode.SEMANTIC else f"{number} {WORDS[number % 30]} {WORDS[1]}"
            filter = MemoryFilter(spaces=(SPACE,), tags=tags)
            result = await memory.search(MemoryQuery(text=words, filter=filter, mode=mode, limit=K))
            found.append({int(hit.entry.value.split(" ", 1)[0]) for hit in result.hits})

        return await timed([partial(one, size + n) for n in range(QUERIES)]), found

    def recall(found: list[set[int]], only: np.ndarray) -> float:
        among = stored if len(only) == size else stored[only]
        shares = []
        for query, ours in zip(queries, found, strict=True):
            best = only[np.argpartition(among @ query, -K)[-K:]]
            shares.append(len(ours & set(best.tolist())) / K)
        return statistics.mean(shares)

    async with open_database(path) as database:
        async with open_sqlite_memory(database, embedder, clock=clock, new_id=IdSource(clock)) as memory:
            for space in OTHERS:
                await memory.remember(space, [NewMemory(value=text(n % size)) for n in range(OTHER_SIZE)])
            rate = await fill(memory, size)
            began = time.perf_counter()
            await searching_once(memory, text(0))
            first = time.perf_counter() - began
            await memory.settle()
            single = await timed([partial(memory.remember, OTHERS[0], [NewMemory(value=text(n))]) for n in range(50)])
        print(f"  {size} entries among {len(OTHERS)} other spaces of {OTHER_SIZE}, {DIMENSION} dimensions")
        print(f"    stored: {rate:.0f} entries/s by {TOGETHER}, one alone {told(single)}")
        began = time.perf_counter()
        async with open_sqlite_memory(database, embedder, clock=clock, new_id=IdSource(clock)) as memory:
            await searching_once(memory, text(0))
            cold = time.perf_counter() - began
            print(f"    opened and searched once: {cold * 1e3:.0f} ms; the very first time {first * 1e3:.0f} ms")
            product = product_times(stored, queries)
            waits, found = await searching(memory, SearchMode.SEMANTIC)
            ratio = statistics.median(waits) / statistics.median(product)
            bare = vec0_times(stored, queries)
            print(f"    numpy float32 product:    {told(product)}")
            print(f"    sqlite-vec, float32:      {told(bare)}")
            print(f"    by meaning:               {told(waits)}, {ratio:.2f} of the product's,", end=" ")
            print(f"{statistics.median(waits) / statistics.median(bare):.3f} of sqlite-vec's,", end=" ")
            print(f"recall@{K} {recall(found, np.arange(size)):.4f}")
            waits, found = await searching(memory, SearchMode.SEMANTIC, ("tenth",))
            print(f"    among a tag's tenth:      {told(waits)}, recall@{K} {recall(found, tenth):.4f}")
            print(f"    by words:                 {told((await searching(memory, SearchMode.EXACT))[0])}")
            print(f"    by both:                  {told((await searching(memory, SearchMode.HYBRID))[0])}")
    total = sum(file.stat().st_size for file in folder.glob(f"{size}.db*"))
    print(f"    on disk: {total / (size + len(OTHERS) * OTHER_SIZE):.0f} bytes an entry")


async def searching_once(memory: SqliteMemory, words: str) -> None:
    filter = MemoryFilter(spaces=(SPACE,))
    await memory.search(MemoryQuery(text=words, filter=filter, mode=SearchMode.SEMANTIC, limit=K))


def product_times(stored: np.ndarray, queries: np.ndarray) -> list[float]:
    waits = []
    for query in queries:
        began = time.perf_counter()
        scores = stored @ query
        np.argpartition(scores, -K)[-K:]
        waits.append(time.perf_counter() - began)
    return waits


def vec0_times(stored: np.ndarray, queries: np.ndarray) -> list[float]:
    """Bare sqlite-vec: float32 vectors in a table of their own, nothing else in the file."""
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute(f"CREATE VIRTUAL TABLE vectors USING vec0 (v float[{DIMENSION}] distance_metric=cosine)")
    with connection:
        connection.executemany("INSERT INTO vectors (v) VALUES (?)", ((row.tobytes(),) for row in stored))
    waits = []
    for query in queries[:VEC0_QUERIES]:
        began = time.perf_counter()
        connection.execute("SELECT rowid FROM vectors WHERE v MATCH ? AND k = ?", (query.tobytes(), K)).fetchall()
        waits.append(time.perf_counter() - began)
    return waits


async def embedding() -> None:
    embedder = OnnxEmbedder()
    began = time.perf_counter()
    await embedder.embed(["first"])
    loaded = time.perf_counter() - began
    for name, words in (("20", 16), ("120", 100)):
        texts = [" ".join(WORDS[(n * 7 + w * 3) % 30] for w in range(words // 2)) for n in range(200)]
        alone = await timed([partial(embedder.embed, [text]) for text in texts[:50]])
        began = time.perf_counter()
        await embedder.embed(texts)
        rate = len(texts) / (time.perf_counter() - began)
        print(f"  about {name} tokens: one text {told(alone)}; 200 texts {rate:.0f}/s")
    print(f"  loaded in {loaded * 1e3:.0f} ms")
    await embedder.aclose()


def main(sizes: Sequence[int] = SIZES) -> None:
    asyncio.run(embedding())
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measured(Path(folder), size))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
