"""Query strings, decoded to an operation's type."""

import difflib
from typing import Any

import msgspec
from starlette.requests import Request

from caxton.domain.errors import CaxtonError, Code
from caxton.service.api.operation import Operation

LARGEST_PAGE = 1000


def read_query(request: Request, operation: Operation) -> dict[str, Any]:
    """The query's fields as keyword arguments, defaults filled in; CaxtonError `parameter_invalid`."""
    given = dict(request.query_params)
    known = operation.query.__struct_fields__ if operation.query else ()
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Known: {', '.join(known) or 'none'}."
            raise CaxtonError(Code.PARAMETER_INVALID, f"There is no query parameter {name!r} here.", hint=hint)
    if not known:
        return {}
    try:
        query = msgspec.convert(given, operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise CaxtonError(Code.PARAMETER_INVALID, f"The query does not fit: {error}.") from error
    fields = msgspec.structs.asdict(query)
    limit = fields.get("limit", 1)
    if not 1 <= limit <= LARGEST_PAGE:
        raise CaxtonError(Code.PARAMETER_INVALID, f"`limit` has to be 1 to {LARGEST_PAGE}, not {limit}.")
    return fields
