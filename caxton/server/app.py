"""The application: a route for every operation of the table, and the pages about them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from caxton.domain.settings import ServerSettings
from caxton.server.bodies import read_body
from caxton.server.docs_page import docs_page
from caxton.server.openai_api import openai_routes
from caxton.server.openapi import openapi
from caxton.server.problems import HANDLERS
from caxton.server.queries import read_query
from caxton.server.sse import encode_error_event, encode_reply_event, event_stream
from caxton.service.api.operation import BodyKind, Operation
from caxton.service.api.server import Readiness
from caxton.service.api.table import OPERATIONS

Endpoint = Callable[[Request], Awaitable[Response]]


class Running(Protocol):
    """What the application needs of a running Caxton; `wiring.Caxton` is one."""

    @property
    def settings(self) -> ServerSettings: ...

    @property
    def services(self) -> Mapping[str, Any]:
        """For each noun of the operation table the object whose methods are its verbs."""
        ...


def create_app(caxton: Running) -> Starlette:
    """The application that serves a running Caxton. Whoever opened that closes it."""
    routes = [
        Route(path, _endpoint(operation, caxton), methods=[operation.method])
        for operation in OPERATIONS
        for path in (operation.path, *operation.aliases)
    ]
    # A path without parameters goes before one whose parameter would match it.
    routes.sort(key=lambda route: "{" in route.path)
    pages = [
        Route("/", _to_docs, include_in_schema=False),
        Route("/docs", _docs),
        Route("/openapi.json", _openapi),
    ]
    return Starlette(
        routes=[*routes, *openai_routes(caxton.services, caxton.settings), *pages], exception_handlers=HANDLERS
    )


def _endpoint(operation: Operation, caxton: Running) -> Endpoint:
    service = caxton.services[operation.noun]
    carry_out = getattr(service, operation.verb)
    largest = caxton.settings.max_body_bytes
    encode = msgspec.json.Encoder().encode

    async def endpoint(request: Request) -> Response:
        arguments = {**request.path_params, **(read_query(request, operation) if operation.query else {})}
        if not operation.query and request.url.query:
            read_query(request, operation)
        if operation.body_kind is not BodyKind.NONE and not arguments.get("template"):
            arguments["body"] = await read_body(request, operation, largest)
        if operation.streams and "text/event-stream" in request.headers.get("accept", ""):
            return await event_stream(service.stream(**arguments), encode_reply_event, encode_error_event)
        answer = await carry_out(**arguments)
        status = 503 if isinstance(answer, Readiness) and not answer.ready else operation.status
        return Response(encode(answer), status_code=status, media_type="application/json")

    return endpoint


async def _to_docs(_: Request) -> Response:
    return RedirectResponse("/docs")


async def _docs(_: Request) -> Response:
    return HTMLResponse(docs_page())


async def _openapi(_: Request) -> Response:
    return Response(msgspec.json.encode(openapi()), media_type="application/json")
