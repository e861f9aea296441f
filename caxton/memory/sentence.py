"""Any model of the sentence-transformers library, on the GPU where there is one."""

import asyncio
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.memory import Vector


class SentenceTransformersEmbedder:
    """Implements `ports.memory.Embedder` with one thread of its own: the library uses all processors by itself."""

    def __init__(self, *, model: str, device: str | None = None) -> None:
        """`model` is a directory, or a name that the library looks up; `device` None lets it choose."""
        self.model = model
        self.dimension: int | None = None
        self._device = device
        self._library: Any = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if not texts:
            return []
        vectors = await asyncio.get_running_loop().run_in_executor(self._worker, self._embed, texts)
        self.dimension = len(vectors[0])
        return vectors

    async def aclose(self) -> None:
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)

    def _embed(self, texts: Sequence[str]) -> list[Vector]:
        if self._library is None:
            self._library = self._load()
        plain = [text.encode(errors="replace").decode() for text in texts]
        try:
            rows = self._library.encode(plain, normalize_embeddings=True, show_progress_bar=False)
        except Exception as error:  # out of memory on a GPU, say: as many kinds as there are devices
            raise CaxtonError(
                Code.EMBEDDER_UNAVAILABLE, f"The embedding model {self.model!r} failed.", why=repr(error)
            ) from error
        return [array("f", row.astype("float32").tobytes()) for row in rows]

    def _load(self) -> Any:
        try:
            library = import_module("sentence_transformers")
        except ImportError as error:
            raise CaxtonError(
                Code.EMBEDDER_UNAVAILABLE,
                f"The embedding model {self.model!r} needs a package that is not installed.",
                why=str(error),
                hint="Install it: `pip install 'caxton[sentence-transformers]'`.",
            ) from error
        try:
            return library.SentenceTransformer(self.model, device=self._device)
        except Exception as error:  # the library passes on whatever hub, file system or torch raised
            raise CaxtonError(
                Code.EMBEDDER_UNAVAILABLE, f"The embedding model {self.model!r} cannot be loaded.", why=str(error)
            ) from error
