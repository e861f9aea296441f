"""Errors over HTTP: `application/problem+json` (RFC 9457), one shape for all of them."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError, ProviderError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 §3.1, and beyond it the stable `code`, the cause, the next step and the diagnostics of files."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    why: str = ""
    hint: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()


def problem(error: CaxtonError) -> Problem:
    return Problem(
        type=f"/docs#error-{error.code}",
        title=error.info.title,
        status=error.info.http,
        detail=error.message,
        code=error.code,
        why=error.why,
        hint=error.hint,
        diagnostics=error.diagnostics if isinstance(error, ConfigurationError) else (),
    )


def problem_headers(error: CaxtonError) -> dict[str, str]:
    """`Retry-After` (RFC 9110 §10.2.3), in whole seconds, where the provider gave it."""
    if isinstance(error, ProviderError) and error.retry_after is not None:
        return {"retry-after": str(-int(-error.retry_after // 1))}
    return {}


def problem_response(error: CaxtonError, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(problem(error)),
        status_code=error.info.http,
        media_type=MEDIA_TYPE,
        headers={**problem_headers(error), **(headers or {})},
    )


async def on_caxton_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, CaxtonError)  # noqa: S101 - registered for nothing else
    return problem_response(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    if error.status_code == 405:
        allowed = allowed_methods(request)
        detail = f"{request.url.path} does not take {request.method}; it takes {', '.join(allowed)}."
        return problem_response(CaxtonError(Code.METHOD_NOT_ALLOWED, detail), {"allow": ", ".join(allowed)})
    return problem_response(CaxtonError(Code.NOT_FOUND, f"Nothing lives at {request.url.path!r}."))


async def on_crash(request: Request, error: Exception) -> Response:
    """A fault of ours: told in the log, not in the reply."""
    log.error("%s %s crashed", request.method, request.url.path, exc_info=error)
    return problem_response(CaxtonError(Code.INTERNAL, "The server failed on this request."))


def allowed_methods(request: Request) -> list[str]:
    """The methods that the path of a request takes (RFC 9110 §10.2.1)."""
    methods: set[str] = set()
    for route in request.app.routes:
        match = route.path_regex.match(request.url.path)
        if match:
            methods |= route.methods or set()
    return sorted(methods)


HANDLERS: dict[Any, Any] = {
    CaxtonError: on_caxton_error,
    HTTPException: on_http_exception,
    Exception: on_crash,
}
