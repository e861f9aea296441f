"""Files below one directory: `python -m caxton.tools.servers.files ROOT [--read-only]`."""

import argparse
import errno
import fnmatch
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from caxton.tools.servers.sandbox import Refused, Sandbox, names_of

MOST_READ = 1_048_576
"""Bytes read or written in one call, unless the command line says otherwise."""
MOST_FOUND = 200
DEEPEST = 64
SEARCHING = 20.0
"""Seconds that a search may take."""

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


def make_server(
    sandbox: Sandbox, *, read_only: bool = False, most: int = MOST_READ, clock: Callable[[], float] = time.monotonic
) -> MCPServer:
    """The server. With `read_only` the tools that write do not exist."""
    server: MCPServer = MCPServer("files", version=version("caxton"), log_level="WARNING")
    _add_readers(server, sandbox, most, clock)
    if not read_only:
        _add_writers(server, sandbox, most)
    return server


def _add_readers(server: MCPServer, sandbox: Sandbox, most: int, clock: Callable[[], float]) -> None:
    @server.tool(annotations=READS)
    def read_file(path: str, start: int = 1, lines: int = 0) -> str:
        """The text of a file. Of a long one a part: from line `start` (the first is 1), `lines` of them (0: all)."""
        with _told(path), sandbox.reading(path) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ToolError(f"{path!r} has more than {most} bytes.")
        text = _text(data, path)
        if start <= 1 and lines <= 0:
            return text
        first = max(start, 1) - 1
        wanted = text.splitlines(keepends=True)[first:]
        return "".join(wanted[:lines] if lines > 0 else wanted)

    @server.tool(annotations=READS)
    def list_directory(path: str = ".") -> str:
        """What a directory has, one a line; directories end with a slash, files have their size in bytes."""
        with _told(path):
            found = sandbox.listed(names_of(path))
        return "\n".join(_line(name, status) for name, status in found) or "(empty)"

    @server.tool(annotations=READS)
    def file_info(path: str) -> str:
        """Kind, size in bytes and time of the last change of what lies at a path."""
        with _told(path), sandbox.entry(path) as entry:
            status = entry.stat()
        changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
        return f"{_kind(status)}, {status.st_size} bytes, changed {changed}"

    @server.tool(annotations=READS)
    def find_files(pattern: str, path: str = ".") -> str:
        """The files below a directory whose name or path fits a pattern such as *.txt or notes/*.md."""
        found = []
        for name, status in _walk(sandbox, path, clock):
            fits = fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name.rpartition("/")[2], pattern)
            if fits and stat.S_ISREG(status.st_mode):
                found.append(name)
            if len(found) == MOST_FOUND:
                found.append("(and maybe more)")
                break
        return "\n".join(found) or "(none)"

    @server.tool(annotations=READS)
    def search_text(text: str, path: str = ".", pattern: str = "*") -> str:
        """The lines that have `text` in them, in any case, as path:line: content; in files that fit the pattern."""
        found: list[str] = []
        wanted = text.casefold()
        for name, status in _walk(sandbox, path, clock):
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                continue
            if not fnmatch.fnmatchcase(name.rpartition("/")[2], pattern):
                continue
            try:
                with sandbox.reading(name) as file:
                    lines = file.read(most).decode().splitlines()
            except (OSError, Refused, UnicodeDecodeError):
                continue
            found += [f"{name}:{n}: {line[:300]}" for n, line in enumerate(lines, 1) if wanted in line.casefold()]
            if len(found) >= MOST_FOUND:
                found[MOST_FOUND:] = ["(and maybe more)"]
                break
        return "\n".join(found) or "(none)"


def _add_writers(server: MCPServer, sandbox: Sandbox, most: int) -> None:
    def put(path: str, text: str, *, new: bool) -> str:
        data = text.encode(errors="replace")
        if len(data) > most:
            raise ToolError(f"That are {len(data)} bytes; {most} are allowed in a file.")
        with _told(path):
            sandbox.write(path, data, new=new)
        return f"Wrote {len(data)} bytes to {path}."

    def current(path: str) -> str:
        with _told(path), sandbox.reading(path) as file:
            return _text(file.read(most + 1), path)

    @server.tool(annotations=WRITES)
    def write_file(path: str, content: str, overwrite: bool = True) -> str:
        """Write a text file, whole. The directory has to be there."""
        return put(path, content, new=not overwrite)

    @server.tool(annotations=WRITES)
    def append_file(path: str, content: str) -> str:
        """Add text at the end of a file that is there."""
        return put(path, current(path) + content, new=False)

    @server.tool(annotations=WRITES)
    def edit_file(path: str, old: str, new: str) -> str:
        """Replace a piece of text that is in the file exactly once."""
        text = current(path)
        if not old or (times := text.count(old)) != 1:
            raise ToolError(f"The text to replace is in {path!r} {times if old else 0} times; it has to be there once.")
        return put(path, text.replace(old, new), new=False)

    @server.tool(annotations=WRITES)
    def create_directory(path: str) -> str:
        """Make a directory; the one above it has to be there."""
        with _told(path), sandbox.entry(path) as entry:
            os.mkdir(entry.path, dir_fd=entry.dir_fd)
        return f"Made the directory {path}."

    @server.tool(annotations=WRITES)
    def move(path: str, to: str) -> str:
        """Give a file or directory another name or place, where nothing is yet."""
        with _told(f"{path} → {to}"), sandbox.entry(path) as source, sandbox.entry(to) as target:
            source.stat()
            if _exists(target.stat):
                raise FileExistsError(errno.EEXIST, "it exists", to)
            os.rename(source.path, target.path, src_dir_fd=source.dir_fd, dst_dir_fd=target.dir_fd)
        return f"Moved {path} to {to}."

    @server.tool(annotations=WRITES)
    def delete(path: str) -> str:
        """Delete a file, a link, or an empty directory."""
        with _told(path), sandbox.entry(path) as entry:
            if stat.S_ISDIR(entry.stat().st_mode):
                os.rmdir(entry.path, dir_fd=entry.dir_fd)
            else:
                os.unlink(entry.path, dir_fd=entry.dir_fd)
        return f"Deleted {path}."


def _walk(sandbox: Sandbox, path: str, clock: Callable[[], float]) -> Iterator[tuple[str, os.stat_result]]:
    """All below a path, until the time for searching is over."""
    with _told(path), sandbox.directory(names_of(path)):
        until = clock() + SEARCHING
    for found in sandbox.walk(path, DEEPEST):
        if clock() > until:
            raise ToolError(f"The search took more than {SEARCHING:g} s. Search a directory further down.")
        yield found


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Tell the caller what went wrong in words that name nothing outside the root."""
    try:
        yield
    except Refused as refusal:
        _note(path)
        raise ToolError(str(refusal)) from refusal
    except OSError as error:
        # O_NOFOLLOW met a link that came in between (Linux: ELOOP; BSD: EMLINK).
        link = error.errno in (errno.ELOOP, errno.EMLINK)
        if link:
            _note(path)
        words = "links are not followed" if link else (os.strerror(error.errno) if error.errno else "it failed")
        raise ToolError(f"{path!r}: {words}.") from error


def _note(path: str) -> None:
    """Take down, for the operator, that somebody asked for what lies outside the root or may lie there."""
    print(f"refused: {path[:500]!a}", file=sys.stderr, flush=True)


def _exists(status: Callable[[], os.stat_result]) -> bool:
    try:
        status()
    except FileNotFoundError:
        return False
    return True


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ToolError(f"{path!r} is no text in UTF-8.") from None


def _kind(status: os.stat_result) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special file")


def _line(name: str, status: os.stat_result) -> str:
    kind = _kind(status)
    # A name may have anything in it but a slash; written so that it cannot pass for several.
    shown = name if name.isprintable() else ascii(name)
    return {"directory": f"{shown}/", "file": f"{shown} ({status.st_size})"}.get(kind, f"{shown} ({kind})")


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the files below one directory over MCP.")
    parser.add_argument("root", type=Path, help="the directory")
    parser.add_argument("--read-only", action="store_true", help="offer no tool that writes")
    parser.add_argument("--max-bytes", type=int, default=MOST_READ, help="of a file, in one call (default %(default)s)")
    arguments = parser.parse_args()
    try:
        sandbox = Sandbox(arguments.root)
    except OSError as error:
        parser.error(f"{str(arguments.root)!r} cannot be the root: {error.strerror}. Name a directory that exists.")
    try:
        make_server(sandbox, read_only=arguments.read_only, most=arguments.max_bytes).run()
    finally:
        sandbox.close()


if __name__ == "__main__":
    main()
