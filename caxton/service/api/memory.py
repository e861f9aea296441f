"""What agents remember, seen from outside."""

from typing import Annotated, Any

import msgspec

from caxton.domain.agent import MemoryScope
from caxton.domain.errors import Code
from caxton.domain.memory import MemoryEntry, MemoryHit, MemoryStats, Relation, SearchMode
from caxton.service.api.operation import BodyKind, Operation, PageSize


class SpaceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which memory is meant: a scope and its owner (agent, workspace or conversation; none for `global`); else all."""

    scope: MemoryScope | None = None
    owner: str | None = None


class FilterQuery(SpaceQuery, frozen=True, kw_only=True):
    """Which entries are meant: those that meet every condition given. `subject` is the person they are of or about."""

    key: str | None = None
    tag: str | None = None
    subject: str | None = None


class ListQuery(FilterQuery, frozen=True, kw_only=True):
    limit: PageSize = 50
    before: str | None = None


class SearchQuery(FilterQuery, frozen=True, kw_only=True):
    text: str
    mode: SearchMode = SearchMode.HYBRID
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class ForgetQuery(FilterQuery, frozen=True, kw_only=True):
    """`all` has to be said where no condition narrows what is erased."""

    id: str | None = None
    all: bool = False


class AddMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to be remembered: a text or any JSON value. A known `key` has its entry replaced.

    `importance` is from 0 to 1; `expires_in` in seconds.
    """

    value: Any
    scope: MemoryScope = MemoryScope.GLOBAL
    owner: str = ""
    key: str | None = None
    tags: tuple[str, ...] = ()
    importance: float = 0.5
    subject: str | None = None
    expires_in: float | None = None


class MemoryList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of entries, newest first. `next` is the `before` of the following page, None at the end."""

    entries: list[MemoryEntry]
    next: str | None


class MemoryHits(msgspec.Struct, frozen=True, kw_only=True):
    """Hits, best first. `warning` says what the search had to do without."""

    hits: list[MemoryHit]
    warning: str


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    entries: int


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """All that was exported. Streamed, the records have come before it and are not repeated."""

    count: int
    records: list[MemoryEntry | Relation] = []


class ImportMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exported records. They keep their ids; what is there already stays as it is."""

    records: list[MemoryEntry | Relation]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """How many were new."""

    records: int


ExportEvent = MemoryEntry | Relation | Exported

LIST = Operation(
    name="memory.list",
    method="GET",
    path="/memory",
    summary="What is remembered, newest first",
    permission="memory:read",
    response=MemoryList,
    query=ListQuery,
)
ADD = Operation(
    name="memory.add",
    method="POST",
    path="/memory",
    summary="Remember something",
    permission="memory:write",
    response=MemoryEntry,
    status=201,
    body=AddMemory,
    body_kind=BodyKind.JSON,
    errors=(Code.MEMORY_INVALID,),
)
FORGET = Operation(
    name="memory.forget",
    method="DELETE",
    path="/memory",
    summary="Forget what meets the conditions",
    permission="memory:write",
    response=Forgotten,
    query=ForgetQuery,
)
SEARCH = Operation(
    name="memory.search",
    method="GET",
    path="/memory/search",
    summary="Search by meaning, by words, or by both",
    permission="memory:read",
    response=MemoryHits,
    query=SearchQuery,
    errors=(Code.EMBEDDER_UNAVAILABLE,),
)
STATS = Operation(
    name="memory.stats",
    method="GET",
    path="/memory/stats",
    summary="How much is remembered, and how far embedding is",
    permission="memory:read",
    response=MemoryStats,
    query=SpaceQuery,
)
REINDEX = Operation(
    name="memory.reindex",
    method="POST",
    path="/memory/reindex",
    summary="Embed every entry anew, in the background; search goes on",
    permission="memory:write",
    response=MemoryStats,
)
EXPORT = Operation(
    name="memory.export",
    method="GET",
    path="/memory/export",
    summary="All entries and the relations between them, oldest first",
    permission="memory:read",
    response=Exported,
    query=FilterQuery,
    events={"entry": MemoryEntry, "relation": Relation, "exported": Exported},
)
IMPORT = Operation(
    name="memory.restore",
    method="POST",
    path="/memory/import",
    summary="Store exported records under their own ids",
    permission="memory:write",
    response=Imported,
    body=ImportMemory,
    body_kind=BodyKind.JSON,
    errors=(Code.MEMORY_INVALID,),
)
SHOW = Operation(
    name="memory.show",
    method="GET",
    path="/memory/{id}",
    summary="Show an entry",
    permission="memory:read",
    response=MemoryEntry,
    errors=(Code.MEMORY_NOT_FOUND,),
)

OPERATIONS = (LIST, ADD, FORGET, SEARCH, STATS, REINDEX, EXPORT, IMPORT, SHOW)
