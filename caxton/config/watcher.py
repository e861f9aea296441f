"""The watcher of the agents directory."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

log = logging.getLogger(__name__)

DEBOUNCE, STEP = 40, 10
"""Milliseconds: changes that come this close together are one batch, and how often is looked for more."""
LOOK = 1000
"""Milliseconds between looks at the directory, for what nobody tells of: that it was moved away, or what changed
behind a symbolic link or on a network."""
MISSING = 0.5
"""Seconds between looks for a directory that is gone."""

Seen = dict[Path, tuple[int, ...]]
"""The agent files there are, each with what changes when it does."""


def is_definition(path: Path) -> bool:
    """Whether a file of the directory is meant as an agent file, and not an editor's hidden or temporary one."""
    return path.suffix == ".toml" and not path.name.startswith((".", "#", "~"))


async def watch_definitions(directory: Path, stop: asyncio.Event) -> AsyncIterator[frozenset[Path]]:
    """The agent files that changed, came or went, in batches, until `stop` is set.

    The first batch is empty and says that from now on nothing is missed. A change may be told twice. With a directory
    that goes away all its files go; it is waited for, and when it is back, so are they.
    """
    seen: Seen | None = None
    troubles: set[str] = set()
    while not stop.is_set():
        # A watch ends with its directory; the next one begins where it left off.
        async with aclosing(_watch(directory, stop, troubles)) as watch:
            async for told in watch:
                first, before = seen is None, seen or {}
                seen = await asyncio.to_thread(_look, directory, before, troubles)
                batch = frozenset() if first else told | _differing(before, seen)
                if batch or first:
                    yield batch


async def _watch(directory: Path, stop: asyncio.Event, troubles: set[str]) -> AsyncGenerator[frozenset[Path], None]:
    """What the system tells of one directory, until it is another or gone; an empty batch asks to look for oneself."""
    import watchfiles

    identity = _identity(directory)
    if identity is None:
        yield frozenset()
        await _pause(stop)
        return
    changes = watchfiles.awatch(
        directory,
        watch_filter=lambda _, path: is_definition(Path(path)),
        debounce=DEBOUNCE,
        step=STEP,
        stop_event=_Ending(stop),
        recursive=False,
        rust_timeout=LOOK,
        yield_on_timeout=True,
    )
    upcoming = asyncio.ensure_future(anext(changes, None))
    # The watch is set up before the first wait of that call, so it is in place once the call has begun.
    await asyncio.sleep(0)
    try:
        yield frozenset()
        while (batch := await upcoming) is not None:
            # By name: the path that is told may lead there another way than `directory` does.
            yield frozenset(directory / Path(path).name for _, path in batch)
            if _identity(directory) != identity:
                return
            upcoming = asyncio.ensure_future(anext(changes, None))
    except (OSError, RuntimeError, ExceptionGroup) as error:
        # A group is how `awatch` says of a file's name that it is not UTF-8. The next watch will not meet it.
        _complain(f"{directory} cannot be watched and is looked at every {MISSING} s: {_cause(error)}", troubles)
        await _pause(stop)
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await changes.aclose()


def _cause(error: Exception) -> Exception:
    """The one error that a group is about; raised again where that is nothing of the watch's."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if not isinstance(error, OSError | RuntimeError):
        raise error
    return error


class _Ending(asyncio.Event):
    """Set when `stop` is, and by `awatch` when that is cancelled, which is no reason to stop all else."""

    def __init__(self, stop: asyncio.Event) -> None:
        super().__init__()
        self._stop = stop

    def is_set(self) -> bool:
        return super().is_set() or self._stop.is_set()


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tells a directory from another made in its place; None while there is none."""
    try:
        status = directory.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _look(directory: Path, before: Seen, troubles: set[str]) -> Seen:
    """What is there; as `before` where that cannot be seen."""
    seen: Seen = {}
    try:
        for path in filter(is_definition, directory.iterdir()):
            try:
                status = _status(path)
            except FileNotFoundError:
                continue  # gone since
            seen[path] = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        _complain(f"{directory} cannot be looked at: {error}", troubles)
        return before
    return seen


def _status(path: Path) -> os.stat_result:
    """Of the file that a link leads to; of the link itself where that is nowhere, or round in a circle."""
    try:
        return path.stat()
    except OSError:
        return path.lstat()


def _differing(before: Seen, now: Seen) -> frozenset[Path]:
    return frozenset(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _complain(trouble: str, troubles: set[str]) -> None:
    """Log what is wrong, once: it is met again with every look."""
    if trouble not in troubles:
        troubles.add(trouble)
        log.warning("%s", trouble)


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(MISSING):
            await stop.wait()
    except TimeoutError:
        return
