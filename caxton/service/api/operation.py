"""The declaration of one operation.

Routes, request decoding, OpenAPI, the reference docs and the CLI's client are all made from it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec

from caxton.domain.errors import Code

PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""How many entries of a list are asked for."""


class BodyKind(StrEnum):
    """How the bytes of a request body become what the operation takes.

    `json` decodes JSON. `message` takes JSON, or plain text as the message's text. `definition` takes the TOML text of
    an agent file, or the same as a JSON object, and hands over the TOML. `fipa` takes JSON or MessagePack, answers in
    either, and hands over whatever that says: the operation itself tells what about it does not fit `body`.
    """

    NONE = "none"
    JSON = "json"
    MESSAGE = "message"
    DEFINITION = "definition"
    FIPA = "fipa"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `name` is `noun.verb`: the verb is a method of the service of that noun.

    The method takes the path's parameters and the fields of `query` by name and the decoded body as `body`. Where there
    are `events`, their types by name, the service's `stream` answers with those, as Server-Sent Events, when the client
    asks for `text/event-stream`; the last of them is the `response` and ends the stream. Where there is no `response`,
    events are all there is, and come until the client hangs up or the server stops. Each of them may have an `id`, and
    the last one that the client has seen is handed over as `after`: from the query, or from `Last-Event-ID`.
    """

    name: str
    method: str
    path: str
    summary: str
    permission: str
    response: Any
    status: int = 200
    body: Any = None
    body_kind: BodyKind = BodyKind.NONE
    query: Any = None
    errors: tuple[Code, ...] = ()
    events: Mapping[str, Any] = {}
    aliases: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]

    @property
    def streams(self) -> bool:
        return bool(self.events)

    @property
    def endless(self) -> bool:
        """Whether events are all that it answers with."""
        return self.streams and self.response is None

    def url(self, path: dict[str, str], query: dict[str, Any] | None = None) -> str:
        """The path with its parameters filled in, quoted, and the query string; None values are left out."""
        filled = self.path.format_map({key: quote(value, safe="") for key, value in path.items()})
        given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in (query or {}).items() if v is not None}
        return f"{filled}?{urlencode(given)}" if given else filled
