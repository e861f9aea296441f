"""The part of WASI that is ours, on a memory of bytes: what it reads and writes, and that it never raises."""

import struct
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from caxton.tools.wasm_stdio import BADF, FAULT, INVAL, IO, NOTSUP, SUCCESS, poll, read, write

SIZE = 1024
numbers = st.integers(-(2**31), 2**31 - 1)
places = st.one_of(numbers, st.integers(0, SIZE))


class Bytes:
    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data.ljust(SIZE, b"\0"))

    def read(self, start: int, size: int) -> bytes:
        if start + size > len(self.data):
            raise IndexError(start)
        return bytes(self.data[start : start + size])

    def write(self, start: int, data: bytes) -> None:
        self.read(start, len(data))
        self.data[start : start + len(data)] = data


class Heard:
    def __init__(self, given: bytes | None = b"") -> None:
        self.given = given
        self.said = b""
        self.paused: list[float] = []
        self.good = True

    def take(self, room: int) -> bytes | None:
        return None if self.given is None else self.given[:room]

    def hear(self, stream: int, size: int, data: Callable[[], bytes]) -> bool:
        if self.good:
            self.said += data()
        return self.good

    def pause(self, seconds: float) -> bool:
        self.paused.append(seconds)
        return self.good


def vector(*buffers: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<II", *buffer) for buffer in buffers)


@given(st.binary(max_size=60), st.lists(st.integers(0, 20), max_size=6))
def test_input_is_laid_into_the_buffers_in_order(given_, sizes):
    starts = [500 + sum(sizes[:number]) for number in range(len(sizes))]
    memory = Bytes(vector(*zip(starts, sizes, strict=True)))
    assert read(Heard(given_), memory, None, 0, 0, len(sizes), 900) == SUCCESS
    taken = given_[: sum(sizes)]
    assert bytes(memory.data[500 : 500 + len(taken)]) == taken
    assert struct.unpack_from("<I", memory.data, 900) == (len(taken),)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_output_is_gathered_from_the_buffers_in_order(parts):
    starts = [500 + sum(map(len, parts[:number])) for number in range(len(parts))]
    memory = Bytes(vector(*zip(starts, map(len, parts), strict=True)))
    memory.write(500, b"".join(parts))
    streams = Heard()
    assert write(streams, memory, None, 1, 0, len(parts), 900) == SUCCESS
    assert streams.said == b"".join(parts)
    assert struct.unpack_from("<I", memory.data, 900) == (len(streams.said),)


@given(numbers, places, places, places, st.binary(max_size=200))
def test_whatever_is_asked_it_answers_with_a_number(fd, at, count, told, memory):
    for function in (read, write):
        answer = function(Heard(b"abc"), Bytes(memory), None, fd, at, count, told)
        assert answer in (SUCCESS, BADF, FAULT, INVAL)
    assert poll(Heard(), Bytes(memory), at, told, count, fd) in (SUCCESS, FAULT, INVAL, NOTSUP)


def test_files_are_wasmtimes_affair():
    asked: list[tuple[int, ...]] = []

    def forward(*values: int) -> int:
        asked.append(values)
        return 42

    for function in (read, write):
        assert function(Heard(), Bytes(), forward, 5, 1, 2, 3) == 42
        assert function(Heard(), Bytes(), None, 5, 1, 2, 3) == BADF
    assert read(Heard(), Bytes(), forward, 1, 0, 0, 0) == BADF
    assert write(Heard(), Bytes(), forward, 0, 0, 0, 0) == BADF
    assert asked == [(5, 1, 2, 3)] * 2


def test_an_instance_that_is_to_end_is_given_an_error():
    streams = Heard(None)
    streams.good = False
    memory = Bytes(vector((100, 5)))
    assert read(streams, memory, None, 0, 0, 1, 900) == IO
    assert write(streams, memory, None, 2, 0, 1, 900) == IO
    clock = struct.pack("<QB7xI4xQ8xH6x", 1, 0, 1, 10**9, 0)
    assert poll(streams, Bytes(clock), 0, 100, 1, 900) == IO


def subscription(user: int, kind: int, clock: int = 1, timeout: int = 0, flags: int = 0) -> bytes:
    return struct.pack("<QB7xI4xQ8xH6x", user, kind, clock, timeout, flags)


def events(memory: Bytes) -> list[tuple[int, int, int]]:
    (count,) = struct.unpack_from("<I", memory.data, 900)
    return [struct.unpack_from("<QHB", memory.data, 500 + 32 * number) for number in range(count)]


def test_waiting_ends_with_the_first_clock():
    memory = Bytes(subscription(7, 0, timeout=3 * 10**9) + subscription(8, 0, timeout=10**9))
    streams = Heard()
    assert poll(streams, memory, 0, 500, 2, 900) == SUCCESS
    assert streams.paused == [1.0]
    assert events(memory) == [(8, SUCCESS, 0)]


def test_a_time_of_day_that_is_past_is_not_waited_for():
    memory = Bytes(subscription(7, 0, clock=0, timeout=int((time.time() - 5) * 1e9), flags=1))
    streams = Heard()
    assert poll(streams, memory, 0, 500, 1, 900) == SUCCESS
    assert streams.paused == [0.0]


def test_files_are_ready_at_once():
    memory = Bytes(subscription(7, 0, timeout=10**9) + subscription(8, 1))
    streams = Heard()
    assert poll(streams, memory, 0, 500, 2, 900) == SUCCESS
    assert streams.paused == []
    assert events(memory) == [(8, SUCCESS, 1)]


def test_nothing_to_wait_for_and_too_much_are_refused():
    assert poll(Heard(), Bytes(), 0, 500, 0, 900) == INVAL
    assert poll(Heard(), Bytes(), 0, 500, 5000, 900) == INVAL
    assert poll(Heard(), Bytes(subscription(1, 0, clock=1, timeout=5, flags=1)), 0, 500, 1, 900) == NOTSUP
