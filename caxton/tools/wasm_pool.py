"""The instances of a WebAssembly server: lent one call at a time, replaced after so many or if one went wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from caxton.tools.wasm_process import Instance

Open = Callable[[], Awaitable[Instance]]
"""Starts an instance and makes it ready for calls."""


class Pool:
    """Lends instances, so many at once; who comes later waits in line. The one used last is lent first: it is warm."""

    def __init__(self, open_instance: Open, size: int, recycle_after: int) -> None:
        self._open = open_instance
        self._free = asyncio.Semaphore(size)
        self._recycle_after = recycle_after
        self._idle: list[tuple[Instance, int]] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Instance]:
        """An instance for one call. Where the call ends with an exception the instance is given up."""
        async with self._free:
            instance, calls = await self._get()
            try:
                yield instance
            except BaseException:
                instance.close()
                raise
            if instance.ended is None and calls + 1 < self._recycle_after:
                self._idle.append((instance, calls + 1))
            else:
                instance.close()

    async def _get(self) -> tuple[Instance, int]:
        while self._idle:
            instance, calls = self._idle.pop()
            if instance.ended is None:
                return instance, calls
        return await self._open(), 0
