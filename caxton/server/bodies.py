"""Request bodies, read as what they are.

What a body is shows in the body: `curl -d '{"text": "Hello"}'` says it sends a form, and sends JSON; a browser's fetch
says it sends plain text. The declared type is only believed where it rules out what we could read at all.
"""

import re
from typing import Any

import msgspec
import tomli_w
from starlette.datastructures import Headers
from starlette.requests import Request

from caxton.domain.codec import MSGPACK_NAMES
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.trace import read_traceparent
from caxton.server.misfits import Misfit, misfit
from caxton.service.api.agents import DefinitionText
from caxton.service.api.messages import SendMessage
from caxton.service.api.operation import BodyKind, Operation

BINARY = re.compile(
    r"(?:multipart|image|audio|video|font)/|application/(?:octet-stream|pdf|wasm|zip|gzip|x-tar|msgpack|vnd\.ms-|cbor)"
)
FORM = "application/x-www-form-urlencoded"
FORM_FIELD = re.compile(r"(?:text|sender|conversation_id)=")
BYTE = re.compile(r" \(byte (\d+)\)$")
TRACEPARENT = "traceparent"
"""The header of W3C Trace Context."""
IDEMPOTENCY_KEY = "idempotency-key"
"""The header (draft-ietf-httpapi-idempotency-key-header) that may stand for the field of a message."""
CARRIAGE_RETURN = re.compile(r"\\(?:r|u000[dD])")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


async def read_body(request: Request, operation: Operation, largest: int, *, required: bool = True) -> Any:
    """The body as the operation's type; None where it is empty and not `required`. `largest` is in bytes.

    CaxtonError `media_type_unsupported`, `body_too_large`, `body_malformed` or `body_invalid`.
    """
    if operation.body_kind is BodyKind.FIPA and media_type(request) in MSGPACK_NAMES:
        return _with_headers(_unpacked(await _read_bytes(request, largest)), request)
    text = await read_text(request, largest, required=required)
    if not text:
        return None
    match operation.body_kind:
        case BodyKind.DEFINITION:
            return _definition(text)
        case BodyKind.FIPA:
            return _with_headers(decode(text, Any), request)
        case BodyKind.MESSAGE:
            return _to_agent(_message(text, media_type(request)), request.headers)
        case _:
            return decode(text, operation.body)


def media_type(request: Request) -> str:
    """The declared type of the body, in small letters and without parameters; empty where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wants_msgpack(request: Request) -> bool:
    """Whether MessagePack is among what the client asks for."""
    asked = request.headers.get("accept", "").lower().split(",")
    return any(one.partition(";")[0].strip() in MSGPACK_NAMES for one in asked)


def decode(text: str, kind: Any) -> Any:
    """JSON text as a value of a type; CaxtonError `body_malformed` or `body_invalid` naming the place."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise misfit(Code.BODY_INVALID, "The body", error, kind) from error
    except msgspec.DecodeError as error:
        raise CaxtonError(Code.BODY_MALFORMED, f"The body is not JSON: {_breaks_off(text, str(error))}.") from error
    except RecursionError as error:
        raise CaxtonError(Code.BODY_MALFORMED, "The body is nested too deep to be read.") from error


async def read_text(request: Request, largest: int, *, required: bool = True) -> str:
    """The body as text, without a byte order mark; empty where there is nothing but space and it is not `required`.

    CaxtonError where it is not text, is empty, or is larger than `largest` bytes.
    """
    if BINARY.match(declared := media_type(request)):
        raise CaxtonError(Code.MEDIA_TYPE_UNSUPPORTED, f"A body of type {declared!r} is not read here.")
    body = await _read_bytes(request, largest)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise CaxtonError(
            Code.MEDIA_TYPE_UNSUPPORTED, f"The body is not UTF-8 text: byte {error.start} does not fit."
        ) from error
    if "\0" in text:
        raise CaxtonError(
            Code.MEDIA_TYPE_UNSUPPORTED, f"The body is not UTF-8 text: byte {body.index(0)} is zero, as in UTF-16."
        )
    text = text.removeprefix("\ufeff")
    if text.strip():
        return text
    if required:
        raise Misfit(Code.BODY_INVALID, "The body is empty.", hint="See /docs for what belongs into it.")
    return ""


async def _read_bytes(request: Request, largest: int) -> bytearray:
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise CaxtonError(Code.MEDIA_TYPE_UNSUPPORTED, f"A body packed by {coding!r} is not read here.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest:
        raise _too_large(largest)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > largest:
            raise _too_large(largest)
    return body


def _unpacked(body: bytearray) -> Any:
    """What MessagePack says; CaxtonError `body_malformed`."""
    try:
        return msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:
        raise CaxtonError(Code.BODY_MALFORMED, f"The body is not MessagePack: {error}.") from error
    except RecursionError as error:
        raise CaxtonError(Code.BODY_MALFORMED, "The body is nested too deep to be read.") from error


def _with_headers(given: Any, request: Request) -> Any:
    """A message's fields with those that headers stand for."""
    if not isinstance(given, dict):
        return given
    if (header := request.headers.get(IDEMPOTENCY_KEY)) is not None:
        given["idempotency_key"] = _one_key(given.get("idempotency_key"), header)
    # A header that is no traceparent is to be treated as if it were not there (W3C Trace Context, §3.3).
    if (trace := request.headers.get(TRACEPARENT)) and "trace" not in given and read_traceparent(trace):
        given["trace"] = trace
    return given


def _message(text: str, declared: str) -> SendMessage:
    """A JSON object, or plain text that is the message itself."""
    is_object = text.lstrip().startswith("{")
    if declared.startswith("text/"):
        if is_object:
            try:
                return msgspec.json.decode(text, type=SendMessage)
            except (msgspec.MsgspecError, RecursionError):
                pass  # a text that only looks like a message in JSON
        return SendMessage(text=text)
    if is_object or declared.endswith("json"):
        message: SendMessage = decode(text, SendMessage)
        return message
    if declared == FORM and FORM_FIELD.match(text):
        raise Misfit(
            Code.BODY_INVALID, "The body is a form, which is not read here.", hint='Send JSON: {"text": "Hello"}.'
        )
    return SendMessage(text=text)


def _to_agent(message: SendMessage, headers: Headers) -> SendMessage:
    """The message with what headers say of it."""
    if (key := headers.get(IDEMPOTENCY_KEY)) is not None:
        message = msgspec.structs.replace(message, idempotency_key=_one_key(message.idempotency_key, key))
    if (trace := headers.get(TRACEPARENT)) and message.trace is None:
        message = msgspec.structs.replace(message, trace=trace)
    return message


def _one_key(given: object, header: str) -> str:
    """The idempotency key of the header, which the draft puts in quotes and most clients do not."""
    quoted = len(header) > 1 and header[0] == header[-1] == '"'
    key = header[1:-1] if quoted else header
    if given not in (None, key):
        raise Misfit(
            Code.BODY_INVALID,
            f"The body has the idempotency key {given!r}, the header {key!r}.",
            field="idempotency_key",
            hint="Give one of the two.",
        )
    return key


def _definition(text: str) -> DefinitionText:
    """TOML as it is; a JSON object as the TOML that says the same."""
    if not text.lstrip().startswith("{"):
        return DefinitionText(toml=text)
    data = decode(text, dict[str, Any])
    try:
        if key := _null_in(data):
            raise Misfit(
                Code.BODY_INVALID, f"`{key}` is null, which TOML does not have.", field=key, hint="Leave the key out."
            )
        # Text over several lines is easier to read so, but a carriage return does not survive it.
        return DefinitionText(toml=tomli_w.dumps(data, multiline_strings=not CARRIAGE_RETURN.search(text)))
    except RecursionError as error:
        raise CaxtonError(Code.BODY_MALFORMED, "The definition is nested too deep to be read.") from error


def _null_in(value: object, place: str = "") -> str:
    """The path to the first null, as TOML writes it; empty where there is none."""
    if value is None:
        return place
    inside: list[tuple[str, object]] = []
    if isinstance(value, dict):
        names = [key if BARE_KEY.fullmatch(key) else f'"{key}"' for key in value]
        inside = [(f"{place}.{name}" if place else name, one) for name, one in zip(names, value.values(), strict=True)]
    elif isinstance(value, list):
        inside = [(f"{place}[{index}]", one) for index, one in enumerate(value)]
    return next((found for deeper, one in inside if (found := _null_in(one, deeper))), "")


def _breaks_off(text: str, said: str) -> str:
    """What the decoder said, with the byte that it names as line and column."""
    said = said.removeprefix("JSON is malformed: ")
    said = f"{said[0].lower()}{said[1:]}"
    if byte := BYTE.search(said):
        before = text.encode()[: int(byte[1])].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return BYTE.sub(f" at line {line}, column {column}", said)
    return said


def _too_large(largest: int) -> CaxtonError:
    return CaxtonError(Code.BODY_TOO_LARGE, f"The body is larger than {largest} bytes.")
