"""Which backends of memory there are, each imported when chosen."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.clock import Clock
from caxton.domain.ports.database import Database
from caxton.domain.ports.memory import Embedder, Memory
from caxton.domain.settings import MemorySettings

BACKENDS: Mapping[str, str] = {
    "sqlite": "caxton.memory.backends:in_sqlite",
    "qdrant": "caxton.memory.backends:in_qdrant",
    "neo4j": "caxton.memory.backends:in_neo4j",
}

Parts = dict[str, Any]
"""Clock and id source, as the backends take them."""


def open_memory(
    settings: MemorySettings,
    database: Database,
    embedder: Embedder,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    new_id: Callable[[], str],
) -> AbstractAsyncContextManager[Memory]:
    """The memory of the settings; CaxtonError `configuration_invalid` where a package for it is missing."""
    module, _, function = BACKENDS[settings.backend].partition(":")
    opener = getattr(import_module(module), function)
    opened: AbstractAsyncContextManager[Memory] = opener(
        settings, database, embedder, environ, {"clock": clock, "new_id": new_id}
    )
    return opened


@asynccontextmanager
async def in_sqlite(
    settings: MemorySettings, database: Database, embedder: Embedder, environ: Mapping[str, str], parts: Parts
) -> AsyncIterator[Memory]:
    from caxton.memory.sqlite import open_sqlite_memory

    async with open_sqlite_memory(database, embedder, **parts) as memory:
        yield memory


@asynccontextmanager
async def in_qdrant(
    settings: MemorySettings, database: Database, embedder: Embedder, environ: Mapping[str, str], parts: Parts
) -> AsyncIterator[Memory]:
    try:
        from qdrant_client import AsyncQdrantClient
    except ImportError as error:
        raise CaxtonError(
            Code.CONFIGURATION_INVALID,
            "The memory is to be in Qdrant, and the package that speaks to it is not installed.",
            why=str(error),
            hint="Install it: `pip install 'caxton[qdrant]'`.",
        ) from error
    from caxton.memory.qdrant import open_qdrant_memory
    from caxton.memory.queued import open_queued_memory

    key = environ.get(settings.backend_key_env or "", "").strip() or None
    url = settings.backend_url or "http://localhost:6333"
    if not url.startswith(("http://", "https://")):
        raise CaxtonError(
            Code.CONFIGURATION_INVALID,
            f"The memory cannot be in Qdrant at {url!r}.",
            hint="`backend_url` in `[memory]` is an address like http://localhost:6333 for Qdrant.",
        )
    client = AsyncQdrantClient(url=url, api_key=key, timeout=10, check_compatibility=False)
    try:
        async with (
            open_qdrant_memory(client, embedder, collection=settings.collection, **parts) as memory,
            open_queued_memory(memory, database, **parts) as queued,
        ):
            yield queued
    finally:
        await client.close()


@asynccontextmanager
async def in_neo4j(
    settings: MemorySettings, database: Database, embedder: Embedder, environ: Mapping[str, str], parts: Parts
) -> AsyncIterator[Memory]:
    try:
        from caxton.memory.neo4j import open_neo4j_memory
        from caxton.memory.neo4j_server import open_driver
    except ImportError as error:
        raise CaxtonError(
            Code.CONFIGURATION_INVALID,
            "The memory is to be in Neo4j, and the package that speaks to it is not installed.",
            why=str(error),
            hint="Install it: `pip install 'caxton[neo4j]'`.",
        ) from error
    from caxton.memory.queued import open_queued_memory

    key = environ.get(settings.backend_key_env or "", "").strip() or None
    async with (
        open_driver(settings.backend_url or "neo4j://localhost:7687", key) as driver,
        open_neo4j_memory(driver, embedder, label=settings.collection, **parts) as memory,
        open_queued_memory(memory, database, **parts) as queued,
    ):
        yield queued
