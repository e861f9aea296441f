"""The seam to the embedded database: one writer with group commit, readers beside it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
SqlValue = str | bytes | int | float | None


class Session(Protocol):
    """What a piece of work on the database may do. Belongs to that call; never kept."""

    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run one statement for each row of values; how many rows of tables it changed."""
        ...


class Database(Protocol):
    """Transactions on one database. Failures of storage (full, locked, corrupt) are CaxtonError `storage_failed`."""

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in the writer; return what it returned once that is durable.

        Many works share a commit. One that raises is rolled back alone and its error raised here. Cancelling the
        wait does not undo the work.
        """
        ...

    async def scrub(self) -> None:
        """Leave no trace of what was deleted in the file or its log. Rewrites it whole; writes wait meanwhile."""
        ...

    def read(self, work: Callable[[Session], T]) -> T:
        """Run a short indexed read at once, on the caller's thread; it sees every write acknowledged before."""
        ...

    async def scan(self, work: Callable[[Session], T]) -> T:
        """Run a long read in a reader thread."""
        ...
