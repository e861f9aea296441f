"""The process that runs the instances of one WebAssembly server; all wasmtime there is in Caxton runs in here.

Told what to do by frames on standard input (`wasm_frames`), it answers on standard output. It ends when its input does,
and that is when its parent is gone, in whatever way.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from wasmtime import WasmtimeError

from caxton.tools.wasm_frames import (
    HEADER,
    Close,
    End,
    Ended,
    Feed,
    News,
    Open,
    Order,
    Ready,
    Refused,
    Setup,
    frame,
    order,
)
from caxton.tools.wasm_guest import THREAD_STACK, Guest, Watch
from caxton.tools.wasm_program import Program, load_program

NICE = 5
"""How far it stands back behind the server where processors are short."""


def main() -> None:
    """Serve until standard input ends."""
    orders = sys.stdin.buffer
    writer = _Writer(os.dup(1))
    # What a library prints must not get between the frames.
    os.dup2(2, 1)
    threading.stack_size(THREAD_STACK)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(NICE)
    setup = _read(orders)
    if not isinstance(setup, Setup):
        sys.exit(2)
    began = monotonic()
    try:
        cache = Path(setup.cache) if setup.cache else None
        program, cached = load_program(Path(setup.module), setup.sha256, cache, setup.metered)
        writer.tell(Ready(monotonic() - began, cached))
        _serve(orders, writer, program, setup)
    except (OSError, ValueError, WasmtimeError) as error:
        writer.tell(Refused(str(error)))
    # Threads that still run a module are not waited for.
    os._exit(0)


def _serve(orders: BinaryIO, writer: "_Writer", program: Program, setup: Setup) -> None:
    guests: dict[int, Guest] = {}
    watch = Watch()

    def tell(news: News) -> None:
        if isinstance(news, Ended):
            guests.pop(news.instance, None)
        writer.tell(news)

    while (given := _read(orders)) is not None:
        match given:
            case Open(instance=number, budget=budget):
                guests[number] = Guest(number, program, setup, watch, tell)
                guests[number].start(budget)
            case Feed(instance=number, data=data, budget=budget) if guest := guests.get(number):
                guest.feed(data, budget)
            case Close(instance=number) if guest := guests.get(number):
                guest.end(End.CLOSED)


def _read(orders: BinaryIO) -> Order | None:
    """The next order; None at the end of input."""
    header = orders.read(HEADER)
    if len(header) < HEADER:
        return None
    return order(orders.read(int.from_bytes(header, "big")))


class _Writer:
    """Writes frames from any thread, each whole."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._lock = threading.Lock()

    def tell(self, news: News) -> None:
        data = memoryview(frame(news))
        with self._lock:
            while data:
                data = data[os.write(self._file, data) :]


if __name__ == "__main__":
    main()
