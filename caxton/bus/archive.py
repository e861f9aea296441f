"""Messages that are kept in files, beyond their time in the store: gzip of JSON Lines, one message a line."""

import errno
import gzip
import os
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from caxton.domain.delivery import Failure
from caxton.domain.message import Message, MessageState

NAMES = "messages-*.jsonl.gz"
PARTIAL = ".partial"
TRACE = slice(3, 35)
"""Where a traceparent has its trace id."""


class ArchivedMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line. `failures` and `died_at` are those of a dead letter."""

    message: Message
    state: MessageState
    attempts: int = 0
    failures: tuple[Failure, ...] = ()
    died_at: float | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ArchivedMessage).decode


class Archive:
    """Implements `ports.delivery.MessageArchive`: the files in one directory, which need not be there yet.

    What has a file's name is whole and on the disk. OSError where one cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, lines: Iterable[bytes], at: float) -> Path:
        """A new file of lines as `line_of` has them, named by a time; it is on the disk when this returns."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._free(at)
        _write(path, lines)
        return path

    def files(self) -> list[Path]:
        """The oldest first."""
        return sorted(self._directory.glob(NAMES))

    def clean(self) -> None:
        """Remove what a process that died left unfinished."""
        for path in self._directory.glob(NAMES + PARTIAL):
            path.unlink(missing_ok=True)

    def forget(self, person: str, conversations: Collection[str]) -> int:
        """Take out conversations, those in which this sender has asked something, and what that has led to.

        How many messages there were. Files that have any are written anew. Looks at every file.
        """
        asked = [one for path in self.files() for one in read_archive(path) if one.message.sender == person]
        whole = {one.message.conversation_id for one in asked}.union(conversations)
        traces = {trace for one in asked if (trace := _trace(one))}

        def stays(one: ArchivedMessage) -> bool:
            return one.message.conversation_id not in whole and _trace(one) not in traces

        return sum(_only(path, stays) for path in self.files())

    def _free(self, at: float) -> Path:
        """A name that no file has yet."""
        time = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 1
        while (path := self._directory / f"messages-{time}-{number:03}.jsonl.gz").exists():
            number += 1
        return path


def read_archive(path: Path) -> Iterator[ArchivedMessage]:
    """The messages of one file, in the order in which they were put there; OSError where it is damaged."""
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                yield _decode(line)
    except (EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise OSError(errno.EIO, f"The archive is damaged ({error})", str(path)) from error


def line_of(one: ArchivedMessage) -> bytes:
    return _encode(one) + b"\n"


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Have a file at `path`, on the disk; what was there stays until it is whole."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        # For nobody else to read, as the database.
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            with gzip.open(raw, "wb") as file:
                file.writelines(lines)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _sync(path.parent)


def _only(path: Path, stays: Callable[[ArchivedMessage], bool]) -> int:
    """Write a file anew without what does not stay; how many messages that were. One without any is removed."""
    before = [*read_archive(path)]
    left = [one for one in before if stays(one)]
    if not left:
        path.unlink()
    elif len(left) < len(before):
        _write(path, map(line_of, left))
    return len(before) - len(left)


def _trace(one: ArchivedMessage) -> str | None:
    return one.message.trace[TRACE] if one.message.trace else None


def _sync(directory: Path) -> None:
    """Have the names in a directory be on the disk; Windows does that by itself, and cannot be asked to."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
