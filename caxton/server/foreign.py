"""Requests that a web page of another site has a visitor's browser send, refused before anything reads them.

A server on this machine has no password, and a browser lets every page post plain text to it. What a page of another
site may not read it could still do: create an agent, or talk to one that has tools.

A page may also have the name of its own site lead to this machine (DNS rebinding), and be of the same site then. So a
server that only this machine reaches answers to the names of this machine alone, and to those it is told.
"""

from collections.abc import Callable, Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.settings import ServerSettings

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110 §9.2.1); what they answer a foreign page is not shown by the browser."""
OWN = ("same-origin", "none")
"""What a browser says of its own pages' requests, and of those that its user types (Fetch Metadata, §2.3)."""


class ForeignPages:
    """ASGI middleware. `fail` words the refusal for a path; `names` are those that the server has, None for any."""

    def __init__(
        self,
        app: ASGIApp,
        fail: Callable[[HTTPConnection, CaxtonError], Response],
        names: Collection[str] | None = None,
    ) -> None:
        self._app = app
        self._fail = fail
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (error := self._objection(scope)) is None:
            await self._app(scope, receive, send)
            return
        response = self._fail(HTTPConnection(scope), error)
        await response(scope, receive, send)

    def _objection(self, scope: Scope) -> CaxtonError | None:
        headers = Headers(scope=scope)
        if self._names is not None and not _is_called(headers.get("host", ""), self._names):
            return CaxtonError(
                Code.ORIGIN_REFUSED,
                f"This server is not called {headers['host']!r}.",
                hint="If a proxy in front of it keeps that name, add it to `allowed_hosts` in `[server]`.",
            )
        # What a WebSocket says a browser shows to pages of any site; its handshake, which has no method, is not safe.
        if scope.get("method") in SAFE or (page := _foreign_page(headers)) is None:
            return None
        return CaxtonError(Code.ORIGIN_REFUSED, f"This server takes no requests from web pages of {page}.")


def names_of(settings: ServerSettings) -> Collection[str] | None:
    """The names that a server answers to; None where others may reach it and nothing says by which name."""
    if settings.allowed_hosts:
        return {"localhost", settings.host, *settings.allowed_hosts}
    return {"localhost", settings.host} if is_loopback(settings.host) else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_called(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header (RFC 9110 §7.2) names the server. An address does: no site can have it for its name."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    if not name or name in names or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _foreign_page(headers: Headers) -> str | None:
    """Whose page sent the request; None for our own, and for whatever is no browser."""
    origin = headers.get("origin")
    if (site := headers.get("sec-fetch-site")) is not None:
        return None if site in OWN else origin or "another site"
    # Browsers from before 2023, and pages that came over plain HTTP from another machine.
    if origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return origin
