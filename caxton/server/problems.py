"""Errors over HTTP: `application/problem+json` (RFC 9457), one shape for all of them."""

import logging
from collections.abc import Awaitable, Callable
from uuid import uuid4

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import CaxtonError, Code, ConfigurationError, ProviderError
from caxton.domain.message import Message
from caxton.domain.misunderstanding import Finding, MessageNotUnderstood
from caxton.server.paths import nearest_path

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

Endpoint = Callable[[Request], Awaitable[Response]]
Fail = Callable[[CaxtonError], Response]


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 §3.1, and beyond it the stable `code`, the cause, the next step and the diagnostics of files.

    What is no message has its `problems`, and the FIPA message that tells them to whoever sent it.
    """

    type: str
    title: str
    status: int
    detail: str
    code: Code
    why: str = ""
    hint: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    problems: tuple[Finding, ...] = ()
    not_understood: Message | None = None


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
        problems=error.findings if isinstance(error, MessageNotUnderstood) else (),
        not_understood=error.reply if isinstance(error, MessageNotUnderstood) else None,
    )


def problem_headers(error: CaxtonError) -> dict[str, str]:
    """`Retry-After` (RFC 9110 §10.2.3), in whole seconds, where the provider gave it."""
    if isinstance(error, ProviderError) and error.retry_after is not None:
        return {"retry-after": str(-int(-error.retry_after // 1))}
    return {}


def problem_response(error: CaxtonError) -> Response:
    return Response(
        msgspec.json.encode(problem(error)),
        status_code=error.info.http,
        media_type=MEDIA_TYPE,
        headers=problem_headers(error),
    )


def answering(endpoint: Endpoint, fail: Fail = problem_response) -> Endpoint:
    """The endpoint with every error answered, as `fail` words it."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except CaxtonError as error:
            return fail(error)
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody: the client left in the middle of its request
        except Exception as error:
            return fail(crash(request, error))

    return answer


def crash(request: Request, error: Exception) -> CaxtonError:
    """What the client is told of a fault of ours: where to find it in the log, which has the rest."""
    trace = uuid4().hex
    log.error("%s %s crashed, trace id %s", request.method, request.url.path, trace, exc_info=error)
    return CaxtonError(Code.INTERNAL, f"The server failed on this request; its trace id is {trace}.")


def no_route(request: Request, error: HTTPException) -> tuple[CaxtonError, dict[str, str]]:
    """What Starlette found out by itself, no such path or no such method, and the headers that go with it."""
    path = request.scope["path"]
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    if error.status_code == 405:
        methods = [route.methods or set() for route in routes if route.path_regex.match(path)]
        allowed = ", ".join(sorted(set().union(*methods)))
        detail = f"{path} does not take {request.method}; it takes {allowed}."
        return CaxtonError(Code.METHOD_NOT_ALLOWED, detail), {"allow": allowed}
    meant = nearest_path(path, [route.path for route in routes])
    hint = f"Did you mean {meant!r}? See /docs for every path." if meant else ""
    return CaxtonError(Code.NOT_FOUND, f"Nothing lives at {path!r}.", hint=hint), {}
