"""The part of WASI that an instance is watched and held by: reading, writing and waiting. For the worker process.

WASI preview 1, witx/wasi_snapshot_preview1.witx: `fd_read`, `fd_write` on the standard streams, `poll_oneoff`. All else
is wasmtime's own. These functions run on the instance's thread, in the middle of it, and never raise: an exception
would travel through a global of wasmtime's that all threads share.
"""

import ctypes
import struct
import time
from collections.abc import Callable
from typing import Protocol

import wasmtime

SUCCESS, BADF, FAULT, INVAL, IO, NOTSUP = 0, 8, 21, 28, 29, 58
MOST_BUFFERS = 1024
MOST_SUBSCRIPTIONS = 1024
_SUBSCRIPTION, _EVENT = 48, 32
_CLOCK = 0
_REALTIME = 0
_ABSOLUTE = 1
_WORD = 0xFFFF_FFFF


class Memory(Protocol):
    """An instance's memory, checked at every access. IndexError outside of it."""

    def read(self, start: int, size: int) -> bytes: ...

    def write(self, start: int, data: bytes) -> None: ...


class LinearMemory:
    """Implements `Memory`. It may move whenever the instance runs, so its place is asked for each time."""

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory

    @property
    def size(self) -> int:
        return self._memory.data_len(self._store)

    def read(self, start: int, size: int) -> bytes:
        return ctypes.string_at(self._place(start, size), size)

    def write(self, start: int, data: bytes) -> None:
        ctypes.memmove(self._place(start, len(data)), data, len(data))

    def _place(self, start: int, size: int) -> int:
        if start + size > self.size:
            raise IndexError(start)
        return ctypes.addressof(self._memory.data_ptr(self._store).contents) + start


class Streams(Protocol):
    """Whoever feeds an instance and hears it."""

    def take(self, room: int) -> bytes | None:
        """Input, `room` bytes at most, once there is some; empty at its end, None where the instance is to end."""
        ...

    def hear(self, stream: int, size: int, data: Callable[[], bytes]) -> bool:
        """Output to stream 1 or 2; False where it goes beyond what is allowed, and then it is not looked at."""
        ...

    def pause(self, seconds: float) -> bool:
        """Wait; False where the instance is to end."""
        ...


Forward = Callable[[int, int, int, int], int]
"""wasmtime's own function, for files."""


def read(streams: Streams, memory: Memory, forward: Forward | None, fd: int, at: int, count: int, told: int) -> int:
    """`fd_read(fd, iovs, iovs_len, nread)`."""
    if fd != 0:
        return BADF if forward is None or fd in (1, 2) else forward(fd, at, count, told)
    try:
        buffers = _buffers(memory, at & _WORD, count)
        data = streams.take(sum(size for _, size in buffers))
        if data is None:
            return IO
        rest = data
        for place, size in buffers:
            memory.write(place, rest[:size])
            rest = rest[size:]
        memory.write(told & _WORD, struct.pack("<I", len(data)))
    except IndexError:
        return FAULT
    except ValueError:
        return INVAL
    return SUCCESS


def write(streams: Streams, memory: Memory, forward: Forward | None, fd: int, at: int, count: int, told: int) -> int:
    """`fd_write(fd, iovs, iovs_len, nwritten)`."""
    if fd not in (1, 2):
        return BADF if forward is None or fd == 0 else forward(fd, at, count, told)
    try:
        buffers = _buffers(memory, at & _WORD, count)
        size = sum(size for _, size in buffers)
        if not streams.hear(fd, size, lambda: b"".join(memory.read(place, size) for place, size in buffers)):
            return IO
        memory.write(told & _WORD, struct.pack("<I", size))
    except IndexError:
        return FAULT
    except ValueError:
        return INVAL
    return SUCCESS


def poll(streams: Streams, memory: Memory, asked: int, events: int, count: int, told: int) -> int:
    """`poll_oneoff(in, out, nsubscriptions, nevents)`. Files and streams are always ready: reading is what waits."""
    if not 0 < count <= MOST_SUBSCRIPTIONS:
        return INVAL
    try:
        raw = memory.read(asked & _WORD, count * _SUBSCRIPTION)
        waits: list[tuple[float, bytes]] = []
        ready: list[bytes] = []
        for start in range(0, len(raw), _SUBSCRIPTION):
            user, kind, clock, timeout, flags = struct.unpack_from("<QB7xI4xQ8xH", raw, start)
            if kind != _CLOCK:
                ready.append(struct.pack("<QHB5xQH6x", user, SUCCESS, kind, 1, 0))
            elif not flags & _ABSOLUTE:
                waits.append((timeout / 1e9, struct.pack("<QHB21x", user, SUCCESS, kind)))
            elif clock == _REALTIME:
                waits.append((timeout / 1e9 - time.time(), struct.pack("<QHB21x", user, SUCCESS, kind)))
            else:
                return NOTSUP
        if not ready:
            shortest = min(seconds for seconds, _ in waits)
            if not streams.pause(max(shortest, 0.0)):
                return IO
            ready = [event for seconds, event in waits if seconds <= shortest]
        memory.write(events & _WORD, b"".join(ready))
        memory.write(told & _WORD, struct.pack("<I", len(ready)))
    except IndexError:
        return FAULT
    return SUCCESS


def _buffers(memory: Memory, at: int, count: int) -> list[tuple[int, int]]:
    """The vector at `at`: places and sizes. ValueError where it has more buffers than is good for us."""
    if not 0 <= count <= MOST_BUFFERS:
        raise ValueError(count)
    return list(struct.iter_unpack("<II", memory.read(at, 8 * count)))
