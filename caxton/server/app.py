"""The application: a route for every operation of the table, and the pages about them."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from caxton.domain.codec import MSGPACK
from caxton.domain.errors import CaxtonError
from caxton.domain.settings import ServerSettings
from caxton.server.bodies import read_body, wants_msgpack
from caxton.server.docs_page import docs_page
from caxton.server.foreign import ForeignPages, names_of
from caxton.server.gate import Gate
from caxton.server.openai_api import openai_error, openai_routes
from caxton.server.openapi import openapi
from caxton.server.paths import EncodedPaths, path_values
from caxton.server.problems import Endpoint, answering, no_route, problem_response
from caxton.server.queries import read_query
from caxton.server.sse import encode_error_event, event_encoder, event_stream
from caxton.server.websocket import events_route
from caxton.service.api.operation import BodyKind, Operation
from caxton.service.api.posting import Posted
from caxton.service.api.server import Readiness
from caxton.service.api.table import OPERATIONS

PUBLIC = "public"


class Running(Protocol):
    """What the application needs of a running Caxton; `wiring.Caxton` is one."""

    @property
    def settings(self) -> ServerSettings: ...

    @property
    def services(self) -> Mapping[str, Any]:
        """For each noun of the operation table the object whose methods are its verbs."""
        ...


def create_app(caxton: Running, gate: Gate | None = None) -> Starlette:
    """The application that serves a running Caxton. Whoever opened that closes it, and before that the gate."""
    gate = gate or Gate()
    routes: list[BaseRoute] = [
        Route(path, answering(_endpoint(operation, caxton, gate)), methods=[operation.method])
        for operation in sorted(OPERATIONS, key=_place)
        for path in (operation.path, *operation.aliases)
    ]
    pages: list[BaseRoute] = [
        events_route(caxton.services["events"], gate),
        Route("/", _to_docs, include_in_schema=False),
        Route("/docs", answering(_docs)),
        Route("/openapi.json", answering(_openapi)),
    ]
    app = Starlette(
        routes=[*routes, *openai_routes(caxton.services, caxton.settings, gate), *pages],
        middleware=[Middleware(ForeignPages, fail=_worded, names=names_of(caxton.settings)), Middleware(EncodedPaths)],
        exception_handlers={HTTPException: _no_route},
    )
    # A redirect would lose the body of a POST with many clients; the answer names the right path instead.
    app.router.redirect_slashes = False
    return app


def _place(operation: Operation) -> tuple[bool, bool]:
    """Where its route goes, as routes are tried in turn.

    Messages come first, for they are most of what is asked; then a path without parameters goes before one whose
    parameter would match it.
    """
    return not operation.streams, "{" in operation.path


def _endpoint(operation: Operation, caxton: Running, gate: Gate) -> Endpoint:
    service = caxton.services[operation.noun]
    carry_out = getattr(service, operation.verb)
    largest = caxton.settings.max_body_bytes
    encode = msgspec.json.Encoder().encode
    encode_event = event_encoder(operation)

    async def endpoint(request: Request) -> Response:
        arguments: dict[str, Any] = path_values(request)
        if operation.query or request.scope["query_string"]:
            arguments |= read_query(request, operation)
        if operation.body_kind is not BodyKind.NONE:
            body = await read_body(request, operation, largest, required=not arguments.get("template"))
            if body is not None:
                arguments["body"] = body
        if operation.permission != PUBLIC:
            gate.check()
        if operation.endless and (seen := request.headers.get("last-event-id")):
            arguments["after"] = seen
        if operation.endless or (operation.streams and "text/event-stream" in request.headers.get("accept", "")):
            return await event_stream(request, service.stream(**arguments), encode_event, encode_error_event)
        answer = await carry_out(**arguments)
        status = _status(answer, operation.status)
        if operation.body_kind is BodyKind.FIPA and wants_msgpack(request):
            return Response(msgspec.msgpack.encode(answer), status_code=status, media_type=MSGPACK)
        return Response(encode(answer), status_code=status, media_type="application/json")

    return endpoint


def _status(answer: object, usual: int) -> int:
    """The status of an answer: what is not ready is told so, and what has its replies is not only accepted."""
    match answer:
        case Readiness(ready=False):
            return 503
        case Posted(replies=[_, *_]):
            return 200
        case _:
            return usual


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    fault, headers = no_route(request, error)
    response = _worded(request, fault)
    response.headers.update(headers)
    return response


def _worded(request: HTTPConnection, error: CaxtonError) -> Response:
    """An error as the clients of a path know it."""
    return openai_error(error) if request.scope["path"].startswith("/v1/") else problem_response(error)


async def _to_docs(_: Request) -> Response:
    return RedirectResponse("/docs")


async def _docs(_: Request) -> Response:
    return HTMLResponse(docs_page())


async def _openapi(_: Request) -> Response:
    return Response(msgspec.json.encode(openapi()), media_type="application/json")
