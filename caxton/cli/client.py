"""The command's client: small, synchronous, on the standard library, driven by the operations' declarations.

A full HTTP library takes longer to import than most commands take to run.
"""

import http.client
import ssl
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.service.api.operation import Operation


class ProblemBody(msgspec.Struct, frozen=True):
    """What the client reads of a problem document."""

    detail: str
    code: str
    why: str = ""
    hint: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()


class SseEvent(NamedTuple):
    name: str
    data: str


class Client:
    """Speaks to the server at `url`. Every failure is a CaxtonError: the server's own, or `server_unreachable`."""

    def __init__(self, url: str, timeout: float = 3600.0) -> None:
        self.url = url
        self._timeout = timeout

    def call(
        self,
        operation: Operation,
        *,
        path: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        body: object = None,
        accept: tuple[int, ...] = (),
    ) -> Any:
        """Carry out an operation; its answer, decoded. `body` is sent as it is where it is text, else as JSON.

        `accept` are statuses beyond 2xx whose body is an answer too.
        """
        with self._answer(operation, path or {}, query, body, "application/json") as answer:
            data = answer.read()
        if answer.status >= 300 and answer.status not in accept:
            raise self._error(answer.status, data)
        try:
            return msgspec.json.decode(data, type=operation.response)
        except msgspec.MsgspecError as error:
            raise self._not_caxton(f"its answer could not be read ({error})") from error

    def stream(
        self,
        operation: Operation,
        *,
        path: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
        body: object = None,
    ) -> Iterator[Any]:
        """Carry out an operation that streams; its events as they come, up to the whole answer, if there is one."""
        with self._answer(operation, path or {}, query, body, "text/event-stream") as answer:
            if answer.status >= 300:
                raise self._error(answer.status, answer.read())
            for event in sse_events(iter(answer.readline, b"")):
                if event.name == "error":
                    raise self._error(answer.status, event.data.encode())
                if kind := operation.events.get(event.name):
                    try:
                        yield msgspec.json.decode(event.data, type=kind)
                    except msgspec.MsgspecError as error:
                        raise self._not_caxton(f"its {event.name!r} event could not be read ({error})") from error
                    if kind is operation.response:
                        return
            if not operation.endless:
                raise ConnectionError("It ended before the whole answer.")

    @contextmanager
    def _answer(
        self, operation: Operation, path: dict[str, str], query: dict[str, Any] | None, body: object, accept: str
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, to be read in the block; nothing of the connection is left after it."""
        headers = {"accept": accept, "connection": "close"}
        data = None
        try:
            target = operation.url(path, query)
            if isinstance(body, str):
                data, headers["content-type"] = body.encode(), "text/plain; charset=utf-8"
            elif body is not None:
                data, headers["content-type"] = msgspec.json.encode(body), "application/json"
        except UnicodeEncodeError as error:
            raise CaxtonError(
                Code.BODY_MALFORMED,
                f"The text is not UTF-8 from character {error.start + 1} on.",
                hint="Convert it first, as in `iconv -f latin1 -t utf-8`.",
            ) from error
        connection, prefix = self._connection()
        with closing(connection):
            try:
                connection.request(operation.method, prefix + target, body=data, headers=headers)
                answer = connection.getresponse()
            except TimeoutError as error:
                raise CaxtonError(
                    Code.SERVER_UNREACHABLE,
                    f"The server at {self.url} did not answer within {self._timeout:g} s.",
                    hint="What it accepted it goes on with; look at `caxton server status` and `caxton logs`.",
                ) from error
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                raise CaxtonError(
                    Code.SERVER_UNREACHABLE, f"No Caxton server answers at {self.url}.", why=str(error)
                ) from error
            with answer, self._reading():
                yield answer

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        """A connection that is not open yet, and what goes before every path: a proxy may keep us in a folder."""
        try:
            parts = urlsplit(self.url)
            host, port, prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        except ValueError as error:
            raise self._no_url(str(error)) from error
        if not host:
            raise self._no_url()
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout), prefix
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context), prefix
        raise self._no_url()

    def _no_url(self, why: str = "") -> CaxtonError:
        return CaxtonError(
            Code.SERVER_UNREACHABLE,
            f"{self.url!r} is not the URL of a server.",
            why=why,
            hint="Write http://host:port.",
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Says that the connection broke when it does in the block."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise CaxtonError(
                Code.SERVER_UNREACHABLE,
                "The connection broke in the middle of the answer.",
                why=str(error),
                hint="What the server accepted it goes on with; look at `caxton server status` and `caxton logs`.",
            ) from error

    def _error(self, status: int, data: bytes) -> CaxtonError:
        try:
            body = msgspec.json.decode(data, type=ProblemBody)
        except msgspec.MsgspecError:
            return self._not_caxton(f"it answered with status {status}")
        if body.diagnostics:
            return ConfigurationError(body.diagnostics)
        # A newer server may have errors that this client has never heard of.
        code = Code(body.code) if body.code in set(Code) else Code.INTERNAL
        return CaxtonError(code, body.detail, why=body.why, hint=body.hint)

    def _not_caxton(self, how: str) -> CaxtonError:
        return CaxtonError(
            Code.SERVER_UNREACHABLE,
            f"What listens at {self.url} is no Caxton server: {how}.",
            hint="Name the server with `--url` or CAXTON_URL.",
        )


def sse_events(lines: Iterable[bytes]) -> Iterator[SseEvent]:
    """The events of a text/event-stream (WHATWG HTML §9.2.6), given line by line."""
    name = ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if not line:
            if data:
                yield SseEvent(name or "message", "\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
