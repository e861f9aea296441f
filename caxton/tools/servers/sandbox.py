"""A directory that nothing done through it leaves.

Paths are taken apart into names, and every name is looked up in the directory that was opened before it, without
following links (POSIX `openat` with `O_NOFOLLOW`): there is no moment between a check and its use in which somebody
could put a link in the way. Where the system has no such calls (Windows), each name is checked and then used by its
path. Names that mean something else on some system (devices, streams, drives) are refused on all.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

ANCHORED = os.open in os.supports_dir_fd and os.scandir in os.supports_fd and hasattr(os, "O_NOFOLLOW")
"""Whether this system can look names up in an opened directory."""

LONGEST = 4_096
"""Characters of a path."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEVICES = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\s*\..*|\s*)", re.IGNORECASE | re.DOTALL
)


class Refused(Exception):
    """A path or what lies there is not for those who use this sandbox; the message says why."""


def names_of(path: str) -> list[str]:
    """The names that a relative path is made of, none for the root itself; Refused for any other."""
    if len(path) > LONGEST:
        raise Refused(f"The path has {len(path)} characters; {LONGEST} are allowed.")
    if path.startswith("/"):
        raise Refused(f"{path!r} is absolute. Paths here are relative to the root: {path.lstrip('/') or '.'!r}.")
    names = [name for name in path.split("/") if name not in ("", ".")]
    for name in names:
        if name == "..":
            raise Refused(f"{path!r} goes up with '..', which is not allowed, wherever it leads.")
        if "\\" in name or ":" in name or _CONTROL.search(name):
            raise Refused(f"{path!r} has a backslash, a colon or a control character in it.")
        if name != name.rstrip(". ") or _DEVICES.fullmatch(name):
            raise Refused(f"{name!r} means something else than a file's name on some systems.")
    return names


class Entry:
    """A name in a directory that is open, ready to be handed to the functions of `os`."""

    def __init__(self, directory: "int | str", name: str) -> None:
        self.name = name
        anchored = isinstance(directory, int)
        self.path = name if anchored else os.path.join(str(directory), name)  # noqa: PTH118 - no Path takes a dir_fd
        self.dir_fd = directory if isinstance(directory, int) else None

    def stat(self) -> os.stat_result:
        return os.stat(self.path, dir_fd=self.dir_fd, follow_symlinks=False)

    def open(self, flags: int, mode: int = 0o666) -> int:
        return os.open(self.path, flags | _NEVER_FOLLOW, mode, dir_fd=self.dir_fd)


_NEVER_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Sandbox:
    """A root directory, opened once. Whoever opens it closes it. FileNotFoundError where there is no such directory."""

    def __init__(self, root: Path) -> None:
        self._path = str(root.resolve(strict=True))
        self._root: int | str = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY) if ANCHORED else self._path

    def close(self) -> None:
        if isinstance(self._root, int):
            os.close(self._root)

    @contextmanager
    def directory(self, names: list[str]) -> Iterator["int | str"]:
        """The directory at these names, open until the end of the block."""
        here = os.dup(self._root) if isinstance(self._root, int) else self._root
        try:
            for name in names:
                entry = Entry(here, name)
                found = entry.stat()
                if _is_link(found):
                    raise Refused(f"{name!r} is a link; links are not followed.")
                if not stat.S_ISDIR(found.st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, "not a directory", name)
                if isinstance(here, int):
                    below: int | str = entry.open(os.O_RDONLY | os.O_DIRECTORY)
                    os.close(here)
                else:
                    below = entry.path
                here = below
            yield here
        finally:
            if isinstance(here, int):
                os.close(here)

    @contextmanager
    def entry(self, path: str) -> Iterator[Entry]:
        """What lies, or may come to lie, at a path; Refused for the root itself."""
        *above, name = names_of(path) or [""]
        if not name:
            raise Refused(f"{path!r} is the root itself.")
        with self.directory(above) as directory:
            yield Entry(directory, name)

    @contextmanager
    def reading(self, path: str) -> Iterator[BinaryIO]:
        """A file of its own, open for reading. Refused for links, devices and files with several names."""
        with self.entry(path) as entry:
            check_file(entry.stat(), path)
            # Should it have become a pipe since, opening it must not wait for a writer.
            handle = entry.open(os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            check_file(os.fstat(handle), path)
            yield file

    def write(self, path: str, data: bytes, *, new: bool) -> None:
        """Put a file in place, whole or not at all. FileExistsError where `new` and there is one."""
        with self.entry(path) as entry:
            mode = 0o666
            with suppress(FileNotFoundError):
                there = entry.stat()
                check_file(there, path)
                if new:
                    raise FileExistsError(errno.EEXIST, "it exists", path)
                mode = stat.S_IMODE(there.st_mode)
            draft = Entry(entry.dir_fd if entry.dir_fd is not None else os.path.dirname(entry.path), _draft())  # noqa: PTH120
            handle = draft.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(draft.path, entry.path, src_dir_fd=draft.dir_fd, dst_dir_fd=entry.dir_fd)
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft.path, dir_fd=draft.dir_fd)
                raise

    def walk(self, path: str, deepest: int) -> Iterator[tuple[str, os.stat_result]]:
        """All below a path, by their paths from the root; links and what cannot be read are shown and not entered."""
        names = names_of(path)
        waiting = [names]
        while waiting:
            here = waiting.pop()
            try:
                found = self.listed(here)
            except (OSError, Refused):
                continue
            for name, status in found:
                yield "/".join([*here, name]), status
                if stat.S_ISDIR(status.st_mode) and not _is_link(status) and len(here) - len(names) < deepest:
                    waiting.append([*here, name])

    def listed(self, names: list[str]) -> list[tuple[str, os.stat_result]]:
        """What a directory has, by name; what goes away meanwhile is left out."""
        found = []
        with self.directory(names) as directory, os.scandir(directory) as entries:
            for one in entries:
                with suppress(FileNotFoundError):
                    found.append((one.name, Entry(directory, one.name).stat()))
        return sorted(found, key=lambda item: item[0])


def check_file(status: os.stat_result, path: str) -> None:
    """Refused unless it is a regular file with one name alone."""
    if _is_link(status):
        raise Refused(f"{path!r} is a link; links are not followed.")
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", path)
    if not stat.S_ISREG(status.st_mode):
        raise Refused(f"{path!r} is no ordinary file.")
    if status.st_nlink > 1:
        raise Refused(f"{path!r} has other names (hard links), maybe outside the root.")


def _is_link(status: os.stat_result) -> bool:
    # Windows has more ways than symbolic links to be somewhere else: junctions, mount points, placeholders.
    reparse = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0) & getattr(status, "st_file_attributes", 0)
    return stat.S_ISLNK(status.st_mode) or bool(reparse)


def _draft() -> str:
    return f".{os.urandom(8).hex()}.draft"
