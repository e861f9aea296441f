"""Requests that a web page of another site has a visitor's browser send, refused before anything reads them.

A server on this machine has no password, and a browser lets every page post plain text to it. What a page of another
site may not read it could still do: create an agent, or talk to one that has tools.
"""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from caxton.domain.errors import CaxtonError, Code

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110 §9.2.1); what they answer a foreign page is not shown by the browser."""
OWN = ("same-origin", "none")
"""What a browser says of its own pages' requests, and of those that its user types (Fetch Metadata, §2.3)."""


class ForeignPages:
    """ASGI middleware. `fail` words the refusal for a path."""

    def __init__(self, app: ASGIApp, fail: Callable[[Request, CaxtonError], Response]) -> None:
        self._app = app
        self._fail = fail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE or (page := _foreign_page(Headers(scope=scope))) is None:
            await self._app(scope, receive, send)
            return
        error = CaxtonError(Code.ORIGIN_REFUSED, f"This server takes no requests from web pages of {page}.")
        response = self._fail(Request(scope), error)
        await response(scope, receive, send)


def _foreign_page(headers: Headers) -> str | None:
    """Whose page sent the request; None for our own, and for whatever is no browser."""
    origin = headers.get("origin")
    if (site := headers.get("sec-fetch-site")) is not None:
        return None if site in OWN else origin or "another site"
    # Browsers from before 2023, and pages that came over plain HTTP from another machine.
    if origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return origin
