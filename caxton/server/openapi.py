"""The description of the HTTP interface, OpenAPI 3.1, made from the operation table."""

import re
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from caxton.domain.errors import CODES, Code
from caxton.server.openai_api import OPENAI_PATHS
from caxton.server.problems import MEDIA_TYPE, Problem
from caxton.server.schemas import schemas
from caxton.service.api.operation import BodyKind, Operation
from caxton.service.api.posting import Posted
from caxton.service.api.server import Readiness
from caxton.service.api.table import OPERATIONS

PARAMETER = re.compile(r"\{(\w+)\}")
ANY_BODY = (Code.BODY_INVALID, Code.BODY_MALFORMED, Code.BODY_TOO_LARGE, Code.MEDIA_TYPE_UNSUPPORTED)


@cache
def openapi() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        for index, path in enumerate((operation.path, *operation.aliases)):
            paths.setdefault(path, {})[operation.method.lower()] = _described(operation, path, index)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Caxton",
            "version": version("caxton"),
            "description": "The agent server you configure rather than program.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": noun} for noun in [*dict.fromkeys(operation.noun for operation in OPERATIONS), "openai"]],
        "paths": {**paths, **OPENAI_PATHS},
        "components": {"schemas": schemas()[1]},
    }


def _described(operation: Operation, path: str, index: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name if not index else f"{operation.name}.{index}",
        "summary": operation.summary,
        "tags": [operation.noun],
        "parameters": parameters(operation, path),
        "responses": _responses(operation),
    }
    if operation.body_kind is not BodyKind.NONE:
        # Optional where something else may stand for it: a template's name.
        required = not (operation.query and "template" in operation.query.__struct_fields__)
        described["requestBody"] = {"required": required, "content": _contents(operation)}
    return described


def parameters(operation: Operation, path: str) -> list[dict[str, Any]]:
    """The parameters of path, query and headers."""
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in PARAMETER.findall(path)
    ]
    if operation.query:
        definitions = msgspec.json.schema(operation.query)["$defs"]
        schema = definitions[operation.query.__name__]
        required = schema.get("required", ())
        for name, field in schema["properties"].items():
            # A choice of words stands here itself: no component is made of what only a query has.
            inlined = _inlined(field, definitions)
            found.append({"name": name, "in": "query", "required": name in required, "schema": inlined})
    if operation.body_kind in (BodyKind.MESSAGE, BodyKind.FIPA):
        key = {"type": ["string", "null"], "default": None, "description": "The same as the body's `idempotency_key`."}
        trace = {"type": "string", "description": "W3C Trace Context; the same as the body's `trace`."}
        found.append({"name": "traceparent", "in": "header", "required": False, "schema": trace})
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
    return found


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with what it refers to in the place of the reference."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in {**named, **rest}.items()}


def _responses(operation: Operation) -> dict[str, Any]:
    content = {} if operation.endless else {"application/json": {"schema": schemas()[0][operation.response]}}
    if operation.streams:
        kinds = {**operation.events, "error": Problem}
        content["text/event-stream"] = {
            "schema": {"type": "string", "description": "Server-Sent Events, each with data in JSON."},
            "x-events": {name: schemas()[0][kind] for name, kind in kinds.items()},
        }
    responses: dict[str, Any] = {str(operation.status): {"description": operation.summary, "content": content}}
    codes = [*operation.errors, Code.INTERNAL]
    codes += ANY_BODY if operation.body_kind is not BodyKind.NONE else ()
    codes += (Code.PARAMETER_INVALID,) if operation.query else ()
    by_status: dict[int, list[Code]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(CODES[code].http, []).append(code)
    for status, same in sorted(by_status.items()):
        responses[str(status)] = {
            "description": "; ".join(f"`{code}`: {CODES[code].title}" for code in same),
            "content": {MEDIA_TYPE: {"schema": schemas()[0][Problem]}},
        }
    if operation.body_kind is BodyKind.FIPA:
        content["application/msgpack"] = content["application/json"]
    if operation.response is Posted:
        responses["200"] = {"description": "The same, with the replies", "content": content}
    if operation.response is Readiness:
        responses["503"]["content"] |= content
    return responses


def _contents(operation: Operation) -> dict[str, Any]:
    if operation.body_kind is BodyKind.DEFINITION:
        return {
            "application/toml": {"schema": {"type": "string", "description": "An agent file."}},
            "application/json": {"schema": {"type": "object", "description": "The same as a JSON object."}},
        }
    contents: dict[str, Any] = {"application/json": {"schema": schemas()[0][operation.body]}}
    if operation.body_kind is BodyKind.FIPA:
        contents["application/msgpack"] = contents["application/json"]
    if operation.body_kind is BodyKind.MESSAGE:
        contents["text/plain"] = {"schema": {"type": "string", "description": "The text of the message."}}
    return contents
