"""Reading a configuration file as text."""

from pathlib import Path

from caxton.config.codes import Problem
from caxton.config.places import excerpt
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError

LARGEST = 1024 * 1024
"""Bytes of a configuration file."""
MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""Byte order marks."""


def read_source(path: Path) -> Source:
    """The text of a file; ConfigurationError where it cannot be read, is no UTF-8 text, is empty or too large."""
    try:
        if path.is_dir():
            raise _error(path, Problem.UNREADABLE, "this is a directory, not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # the latter where the name itself is none, as with a zero byte
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise _error(path, Problem.UNREADABLE, f"the file cannot be read: {reason}") from error
    if len(data) > LARGEST:
        raise _error(path, Problem.TOO_LARGE, f"the file is larger than {LARGEST} bytes", hint="Is it the right file?")
    return Source(path=str(path), text=_decode(path, data))


def _decode(path: Path, data: bytes) -> str:
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            raise _error(path, Problem.ENCODING, f"the file is {encoding}, not UTF-8", hint="Save it as UTF-8.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    text = ""
    try:
        text = data.decode()
        wrong = data.find(0)
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        raise ConfigurationError([_wrong_byte(path, data, wrong)])
    if not text.strip():
        raise _error(
            path, Problem.EMPTY_FILE, "the file is empty", hint="`caxton template list` shows what to begin with."
        )
    return text


def _wrong_byte(path: Path, data: bytes, offset: int) -> Diagnostic:
    before = data[:offset].decode()
    column = len(before) - before.rfind("\n")
    line = data[data.rfind(b"\n", 0, offset) + 1 :].partition(b"\n")[0]
    text = line.decode(errors="replace").rstrip("\r").replace("\0", "\N{REPLACEMENT CHARACTER}")
    shown, length = excerpt(text, column, 1)
    return Diagnostic(
        code=Problem.ENCODING,
        message=f"byte 0x{data[offset]:02x} is not UTF-8" if data[offset] else "a zero byte is not text",
        file=str(path),
        line=before.count("\n") + 1,
        column=column,
        length=length,
        source=shown,
        hint="Save the file as UTF-8." if data[offset] else "It may be UTF-16: save the file as UTF-8.",
    )


def _error(path: Path, code: Problem, message: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError([Diagnostic(code=code, message=message, file=str(path), hint=hint)])
