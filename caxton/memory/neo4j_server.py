"""The way to Neo4j: statements, transactions, and the indexes that the memory needs. What fails is a CaxtonError."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

from neo4j import AsyncDriver, AsyncGraphDatabase, AsyncManagedTransaction, Query, unit_of_work
from neo4j.exceptions import ConfigurationError, DriverError, Neo4jError

from caxton.domain.errors import CaxtonError, Code
from caxton.memory.nodes import Values

USER = "neo4j"
"""Whose password a key is that names no user."""
SECONDS = 30.0
"""That a statement may take in the server."""
WAIT, RETRIED = 5.0, 1.0
"""Seconds to wait for a connection, and in which what failed for a moment is tried again."""

SCHEMES = tuple(f"{name}{secured}://" for name in ("neo4j", "bolt") for secured in ("", "+s", "+ssc"))

SCHEMA = (
    "CREATE CONSTRAINT `LABEL id` IF NOT EXISTS FOR (m:`LABEL`) REQUIRE m.id IS UNIQUE",
    "CREATE INDEX `LABEL space` IF NOT EXISTS FOR (m:`LABEL`) ON (m.space, m.key)",
    "CREATE INDEX `LABEL spaces` IF NOT EXISTS FOR (m:`LABEL`) ON (m.space)",
    "CREATE INDEX `LABEL subject` IF NOT EXISTS FOR (m:`LABEL`) ON (m.subject)",
    "CREATE INDEX `LABEL order` IF NOT EXISTS FOR (m:`LABEL`) ON (m.order)",
    "CREATE INDEX `LABEL expires_at` IF NOT EXISTS FOR (m:`LABEL`) ON (m.expires_at)",
    # Split at white space alone, for the words are ours already.
    "CREATE FULLTEXT INDEX `LABEL words` IF NOT EXISTS FOR (m:`LABEL`) ON EACH [m.words, m.place]"
    " OPTIONS {indexConfig: {`fulltext.analyzer`: 'whitespace'}}",
)
VECTORS = "SHOW VECTOR INDEXES YIELD name, options RETURN name, options"
DROP_VECTORS = "DROP INDEX `LABEL meaning` IF EXISTS"
MAKE_VECTORS = (
    "CREATE VECTOR INDEX `LABEL meaning` IF NOT EXISTS FOR (m:`LABEL`) ON (m.vector)"
    " OPTIONS {indexConfig: {`vector.dimensions`: DIMENSION, `vector.similarity_function`: 'cosine'}}"
)
AWAIT = "CALL db.awaitIndexes(30)"


class Statement(NamedTuple):
    """Cypher, in which LABEL stands for the label of entries, and its parameters."""

    text: str
    values: Values


class Server:
    """Entries are the nodes of one label in one database."""

    def __init__(self, driver: AsyncDriver, label: str, database: str | None = None) -> None:
        """`database` None is the user's own."""
        self._driver = driver
        self._label = label
        self._database = database
        self._making = asyncio.Lock()
        self._made = False
        self._dimension: int | None = None

    @property
    def words_index(self) -> str:
        return f"{self._label} words"

    @property
    def vector_index(self) -> str:
        return f"{self._label} meaning"

    async def ask(self, text: str, values: Values) -> list[dict[str, Any]]:
        """The rows of a statement that changes nothing."""
        await self._ready()
        return await self._run(text, values)

    async def change(self, *statements: Statement) -> list[list[dict[str, Any]]]:
        """The rows of each of these, all in one transaction, durable on return."""
        await self._ready()

        @unit_of_work(timeout=SECONDS)
        async def work(transaction: AsyncManagedTransaction) -> list[list[dict[str, Any]]]:
            return [await (await transaction.run(self._query(one.text), one.values)).data() for one in statements]

        with reached():
            async with self._driver.session(database=self._database) as session:
                return await session.execute_write(work)

    async def fit(self, dimension: int) -> None:
        """Have the index of vectors be one for vectors of that length; it is made anew where it was for others."""
        await self._ready()
        async with self._making:
            if dimension == self._dimension:
                return
            indexes = {row["name"]: row["options"]["indexConfig"] for row in await self._run(VECTORS, {})}
            known = indexes.get(self.vector_index)
            if known and known["vector.dimensions"] != dimension:
                await self._run(DROP_VECTORS, {})
            await self._run(MAKE_VECTORS.replace("DIMENSION", str(dimension)), {})
            await self._run(AWAIT, {})
            self._dimension = dimension

    async def _ready(self) -> None:
        async with self._making:
            if not self._made:
                for statement in (*SCHEMA, AWAIT):
                    await self._run(statement, {})
                self._made = True

    async def _run(self, text: str, values: Values) -> list[dict[str, Any]]:
        with reached():
            query = Query(self._query(text), timeout=SECONDS)
            answer = await self._driver.execute_query(query, values, database_=self._database)
        return [record.data() for record in answer.records]

    def _query(self, text: str) -> str:
        """The label in its place: it comes from the settings, and ends at no backtick of its own."""
        return text.replace("LABEL", self._label.replace("`", "``"))


@asynccontextmanager
async def open_driver(url: str, key: str | None) -> AsyncIterator[AsyncDriver]:
    """A driver that has connected to nothing yet. `key` is USER:PASSWORD, or the password of the user neo4j."""
    if not url.startswith(SCHEMES):
        raise _misplaced(url, f"The address begins with none of {', '.join(SCHEMES)}.")
    user, _, password = (key or "").rpartition(":")
    try:
        driver = AsyncGraphDatabase.driver(
            url,
            auth=(user or USER, password) if key else None,
            connection_timeout=WAIT,
            connection_acquisition_timeout=WAIT,
            max_transaction_retry_time=RETRIED,
        )
    except (ConfigurationError, ValueError) as error:
        raise _misplaced(url, str(error)) from error
    async with driver:
        yield driver


@contextmanager
def reached() -> Iterator[None]:
    """What Neo4j and the way to it fail with, within the block, as CaxtonError `memory_unavailable`."""
    try:
        yield
    except (Neo4jError, DriverError, OSError) as error:
        raise CaxtonError(
            Code.MEMORY_UNAVAILABLE,
            "The memory in Neo4j cannot be reached, or refused what it was asked.",
            why=f"{type(error).__name__}: {error}"[:500],
            hint="Check that the server runs, and `backend_url` in `[memory]` of caxton.toml.",
        ) from error


def _misplaced(url: str, why: str) -> CaxtonError:
    return CaxtonError(
        Code.CONFIGURATION_INVALID,
        f"The memory cannot be in Neo4j at {url!r}.",
        why=why,
        hint="`backend_url` in `[memory]` is an address like neo4j://localhost:7687, or neo4j+s:// for TLS.",
    )
