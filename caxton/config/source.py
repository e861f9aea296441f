"""Reading a configuration file as text."""

from pathlib import Path

from caxton.config.codes import Problem
from caxton.domain.agent import Source
from caxton.domain.diagnostics import Diagnostic
from caxton.domain.errors import ConfigurationError

LARGEST = 1024 * 1024
"""Bytes of a configuration file."""
BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_source(path: Path) -> Source:
    """The text of a file; ConfigurationError where it cannot be read, is no UTF-8 text, is empty or too large."""
    try:
        if path.is_dir():
            raise _error(path, Problem.UNREADABLE, "this is a directory, not a file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise _error(path, Problem.UNREADABLE, f"the file cannot be read: {reason}") from error
    if len(data) > LARGEST:
        raise _error(path, Problem.TOO_LARGE, f"the file is larger than {LARGEST} bytes", hint="Is it the right file?")
    return Source(path=str(path), text=_decode(path, data))


def _decode(path: Path, data: bytes) -> str:
    if encoding := BOMS.get(data[:2]):
        raise _error(path, Problem.ENCODING, f"the file is {encoding}, not UTF-8", hint="Save it as UTF-8.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        shown = data.decode(errors="replace").split("\n")[line - 1].rstrip("\r")
        raise ConfigurationError(
            [
                Diagnostic(
                    code=Problem.ENCODING,
                    message=f"byte 0x{data[error.start]:02x} is not UTF-8",
                    file=str(path),
                    line=line,
                    column=column,
                    source=shown,
                    hint="Save the file as UTF-8.",
                )
            ]
        ) from None
    if not text.strip():
        raise _error(
            path, Problem.EMPTY_FILE, "the file is empty", hint="`caxton template list` shows what to begin with."
        )
    return text


def _error(path: Path, code: Problem, message: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError([Diagnostic(code=code, message=message, file=str(path), hint=hint)])
