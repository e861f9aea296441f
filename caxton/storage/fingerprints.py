"""The approved descriptions of tools, in the embedded database: what changed while the server was down shows, too."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caxton.domain.errors import CaxtonError
from caxton.domain.ports.database import Database, Session
from caxton.domain.tool import ToolName

KNOWN = "SELECT server, tool, fingerprint FROM tool_fingerprints"
APPROVE = """
INSERT INTO tool_fingerprints (server, tool, fingerprint) VALUES (?, ?, ?)
ON CONFLICT (server, tool) DO UPDATE SET fingerprint = excluded.fingerprint
"""

log = logging.getLogger(__name__)


class SqliteFingerprints:
    """Implements `ports.tools.Fingerprints`. What is approved holds at once, and is stored behind the caller's back.

    Made by `open_fingerprints`, whose end waits for what is still to be stored.
    """

    def __init__(self, database: Database, known: dict[ToolName, str]) -> None:
        self._database = database
        self._known = known
        self._unstored: dict[ToolName, str] = {}
        self._storing: asyncio.Task[None] | None = None

    def find(self, tool: ToolName) -> str | None:
        return self._known.get(tool)

    def approve(self, tool: ToolName, fingerprint: str) -> None:
        self._known[tool] = self._unstored[tool] = fingerprint
        if self._storing is None:
            self._storing = asyncio.create_task(self._store(), name="tool fingerprints")

    async def settle(self) -> None:
        """Wait until everything that was approved is stored, or was told to have failed."""
        while self._storing is not None:
            await asyncio.wait([self._storing])

    async def _store(self) -> None:
        """Store what there is to store, all of it in one commit, until there is nothing."""
        try:
            while self._unstored:
                rows = [(tool.server, tool.tool, approved) for tool, approved in self._unstored.items()]
                self._unstored.clear()

                def work(session: Session, rows: list[tuple[str, str, str]] = rows) -> None:
                    for row in rows:
                        session.execute(APPROVE, row)

                try:
                    await self._database.write(work)
                except CaxtonError as error:
                    # They hold for as long as the server runs; after that the tools count as new.
                    log.error("the approved descriptions of %d tools could not be stored: %s", len(rows), error)
        finally:
            self._storing = None


@asynccontextmanager
async def open_fingerprints(database: Database) -> AsyncIterator[SqliteFingerprints]:
    """All fingerprints that were approved so far, and what is approved until the end of the block."""
    rows = await database.scan(lambda session: session.execute(KNOWN))
    fingerprints = SqliteFingerprints(database, {ToolName(server, tool): approved for server, tool, approved in rows})
    try:
        yield fingerprints
    finally:
        await fingerprints.settle()
