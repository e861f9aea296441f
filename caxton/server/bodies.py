"""Request bodies, read as what they are.

What a body is shows in the body: `curl -d '{"text": "Hello"}'` says it sends a form, and sends JSON. The declared type
is only believed where it rules out what we could read at all.
"""

from typing import Any

import msgspec
import tomli_w
from starlette.requests import Request

from caxton.domain.errors import CaxtonError, Code
from caxton.service.api.agents import DefinitionText
from caxton.service.api.messages import SendMessage
from caxton.service.api.operation import BodyKind, Operation

NOT_TEXT = ("multipart/", "image/", "audio/", "video/", "font/", "application/octet-stream", "application/zip")


async def read_body(request: Request, operation: Operation, largest: int) -> Any:
    """The body as the operation's type, None where it takes none; `largest` is in bytes.

    CaxtonError `media_type_unsupported`, `body_too_large` or `body_invalid`.
    """
    if operation.body_kind is BodyKind.NONE:
        return None
    text = await read_text(request, largest)
    match operation.body_kind:
        case BodyKind.DEFINITION:
            return _definition(text)
        case BodyKind.MESSAGE:
            return _message(text, request.headers.get("content-type", ""))
        case _:
            return decode(text, operation.body)


def decode(text: str, into: Any) -> Any:
    """JSON text as a value of a type; CaxtonError `body_invalid` naming the place."""
    try:
        return msgspec.json.decode(text, type=into)
    except msgspec.ValidationError as error:
        raise CaxtonError(Code.BODY_INVALID, f"The body does not fit: {error}.") from error
    except msgspec.DecodeError as error:
        raise CaxtonError(Code.BODY_INVALID, f"The body is not JSON: {error}.") from error


async def read_text(request: Request, largest: int) -> str:
    """The body as text; CaxtonError where it is not text, empty, or larger than `largest` bytes."""
    declared = request.headers.get("content-type", "")
    if declared.startswith(NOT_TEXT):
        raise CaxtonError(
            Code.MEDIA_TYPE_UNSUPPORTED, f"A body of type {declared.partition(';')[0]!r} is not read here."
        )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > largest:
        raise _too_large(largest)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > largest:
            raise _too_large(largest)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise CaxtonError(
            Code.MEDIA_TYPE_UNSUPPORTED, f"The body is not UTF-8 text: byte {error.start} does not fit."
        ) from error
    if not text.strip():
        raise CaxtonError(Code.BODY_INVALID, "The body is empty.")
    return text


def _message(text: str, declared: str) -> SendMessage:
    """A JSON object, or, declared as such or evidently, plain text that is the message itself."""
    if text.lstrip().startswith("{") and not declared.startswith("text/plain"):
        message: SendMessage = decode(text, SendMessage)
        return message
    if declared.startswith("application/json"):
        raise CaxtonError(Code.BODY_INVALID, 'The body has to be a JSON object such as {"text": "Hello"}.')
    return SendMessage(text=text)


def _definition(text: str) -> DefinitionText:
    """TOML as it is; a JSON object as the TOML that says the same."""
    if not text.lstrip().startswith("{"):
        return DefinitionText(toml=text)
    data = decode(text, dict[str, Any])
    try:
        return DefinitionText(toml=tomli_w.dumps(data, multiline_strings=True))
    except (TypeError, ValueError, RecursionError) as error:
        raise CaxtonError(
            Code.BODY_INVALID,
            f"The definition cannot be written as TOML: {error}.",
            hint="TOML has no null: leave keys out.",
        ) from error


def _too_large(largest: int) -> CaxtonError:
    return CaxtonError(Code.BODY_TOO_LARGE, f"The body is larger than {largest} bytes.")
