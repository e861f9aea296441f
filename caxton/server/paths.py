"""Paths, taken apart before they are decoded.

ASGI hands the path over decoded, where a slash inside a value (`/conversations/team%2Fads`) looks like one between two
values. So a path with anything encoded is routed as it was written, and its values are decoded afterwards.
"""

import difflib
from collections.abc import Iterable
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send


class EncodedPaths:
    """ASGI middleware that puts the encoded path in the place of the decoded one, each value encoded in one way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if b"%" in scope.get("raw_path", b""):
            written = scope["raw_path"].decode("ascii")
            scope["path"] = "/".join(quote(unquote(part), safe="") for part in written.split("/"))
        await self._app(scope, receive, send)


def path_values(request: Request) -> dict[str, str]:
    """The values of the path's parameters, decoded."""
    return {name: unquote(value) if "%" in value else value for name, value in request.path_params.items()}


def nearest_path(path: str, templates: Iterable[str]) -> str | None:
    """The path that may have been meant, of those that these templates (`/agents/{name}`) allow."""
    parts = path.rstrip("/").split("/")
    possible = []
    for template in templates:
        fixed = template.split("/")
        if len(fixed) == len(parts):
            filled = [part if slot.startswith("{") else slot for slot, part in zip(fixed, parts, strict=True)]
            possible.append("/".join(filled))
    return next(iter(difflib.get_close_matches(path, possible, n=1)), None)
