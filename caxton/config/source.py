"""Reading a configuration file as text."""

import stat
from pathlib import Path

from caxton.config.codes import Problem
from caxton.config.excerpt import point
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError

LARGEST = 1024 * 1024
"""Bytes of a configuration file."""
MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""Byte order marks."""


def read_source(path: Path) -> Source:
    """The text of a file; ConfigurationError where it cannot be read, is no UTF-8 text, is empty or too large."""
    if printable(path) != str(path):
        raise _error(path, Problem.ENCODING, "the file's name is not UTF-8", hint="Give it another name.")
    try:
        # Looked at before it is opened: opening a pipe waits for whoever writes into it, for ever.
        if not stat.S_ISREG(mode := path.stat().st_mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
            raise _error(path, Problem.UNREADABLE, f"this is {kind}, not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # the latter where the name itself is none, as with a zero byte
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _error(path, Problem.UNREADABLE, f"the file cannot be read: {reason}") from error
    if len(data) > LARGEST:
        raise _error(path, Problem.TOO_LARGE, f"the file is larger than {LARGEST} bytes", hint="Is it the right file?")
    return Source(path=str(path), text=_decode(path, data))


def printable(path: Path) -> str:
    """The path as text that can be stored and sent: what of its name is none is written as `\\udcff`."""
    return str(path).encode(errors="backslashreplace").decode()


def _decode(path: Path, data: bytes) -> str:
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            raise _error(path, Problem.ENCODING, f"the file is {encoding}, not UTF-8", hint="Save it as UTF-8.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    text, zero = "", data.find(0)
    try:
        text = data.decode()
        wrong = zero
    except UnicodeDecodeError as error:
        wrong = zero if 0 <= zero < error.start else error.start
    if wrong >= 0:
        raise ConfigurationError([_wrong_byte(path, data, wrong)])
    if not text.strip():
        raise _error(
            path, Problem.EMPTY_FILE, "the file is empty", hint="`caxton template list` shows what to begin with."
        )
    return text


def _wrong_byte(path: Path, data: bytes, offset: int) -> Diagnostic:
    zero = not data[offset]
    return point(
        str(path),
        data.decode(errors="replace"),
        len(data[:offset].decode()),
        code=Problem.ENCODING,
        message="a zero byte is not text" if zero else f"byte 0x{data[offset]:02x} is not UTF-8",
        hint="It may be UTF-16: save the file as UTF-8." if zero else "Save the file as UTF-8.",
    )


def _error(path: Path, code: Problem, message: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError([Diagnostic(code=code, message=message, file=printable(path), hint=hint)])
