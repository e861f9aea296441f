"""Query strings, decoded to an operation's type."""

from typing import Any

import msgspec
from starlette.requests import HTTPConnection

from caxton.domain.errors import Code
from caxton.server.misfits import Misfit, misfit, nearest
from caxton.service.api.operation import Operation


def read_query(request: HTTPConnection, operation: Operation) -> dict[str, Any]:
    """The query's fields as keyword arguments, defaults filled in; CaxtonError `parameter_invalid`."""
    known = operation.query.__struct_fields__ if operation.query else ()
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            message = f"There is no query parameter {name!r} here."
            raise Misfit(Code.PARAMETER_INVALID, message, field=name, hint=nearest(name, known))
        if name in given:
            raise Misfit(Code.PARAMETER_INVALID, f"The query parameter {name!r} is given twice.", field=name)
        given[name] = value
    if not known:
        return {}
    try:
        return msgspec.structs.asdict(msgspec.convert(given, operation.query, strict=False))
    except msgspec.ValidationError as error:
        raise misfit(Code.PARAMETER_INVALID, "The query", error, operation.query) from error
