"""The watcher of the agents directory."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

log = logging.getLogger(__name__)

DEBOUNCE, STEP = 40, 10
"""Milliseconds: changes that come this close together are one batch, and how often is looked for more."""
MISSING = 0.5
"""Seconds between looks for a directory that is gone."""


def is_definition(path: Path) -> bool:
    """Whether a file of the directory is meant as an agent file, and not an editor's hidden or temporary one."""
    return path.suffix == ".toml" and not path.name.startswith((".", "#", "~"))


async def watch_definitions(directory: Path, stop: asyncio.Event) -> AsyncIterator[frozenset[Path]]:
    """The agent files that changed, came or went, in batches, until `stop` is set.

    The first batch is empty and says that from now on nothing is missed. A directory that goes away is waited for;
    when it is back, all its files count as changed.
    """
    import watchfiles

    begun = False
    while not stop.is_set():
        identity = _identity(directory)
        if identity is None:
            await _pause(stop)
            continue
        changes = watchfiles.awatch(
            directory,
            watch_filter=lambda _, path: is_definition(Path(path)),
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=stop,
            recursive=False,
            # A directory that is removed may tell nobody: look once a second whether it is still the same one.
            rust_timeout=1000,
            yield_on_timeout=True,
        )
        upcoming = asyncio.ensure_future(anext(changes, None))
        # The watch is set up before the first wait of that call, so it is in place once the call has begun.
        await asyncio.sleep(0)
        try:
            yield _present(directory) if begun else frozenset()
            begun = True
            while (batch := await upcoming) is not None and _identity(directory) == identity:
                if batch:
                    yield frozenset(Path(path) for _, path in batch)
                upcoming = asyncio.ensure_future(anext(changes, None))
        except (OSError, RuntimeError) as error:
            log.warning("%s cannot be watched: %s", directory, error)
            await _pause(stop)
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
            await changes.aclose()


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tells a directory from another made in its place; None while there is none."""
    try:
        status = directory.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _present(directory: Path) -> frozenset[Path]:
    return frozenset(path for path in directory.glob("*.toml") if is_definition(path))


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(MISSING):
            await stop.wait()
    except TimeoutError:
        return
