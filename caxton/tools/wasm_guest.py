"""One instance of a WebAssembly module, on a thread of its own, under limits. For the worker process.

Fuel is counted by the code itself. For all else there is the instance's engine: counting up its epoch ends the instance
at its next loop or call. The clock's limit is kept by `Watch`, output is counted as it is written.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import partial

import wasmtime

from caxton.tools.wasm_frames import Budget, End, Ended, Muttered, News, Said, Settled, Setup, Usage
from caxton.tools.wasm_program import BRIDGED, WASI, Program
from caxton.tools.wasm_stdio import BADF, IO, Forward, LinearMemory, poll, read, write

THREAD_STACK = 16_777_216
"""Bytes; far more than a module may use, for wasmtime and Python lie on top of it."""
_STDOUT = 1
_SPARE = 1
"""Fuel given beyond the budget, to tell all of it spent from more than that."""
_TRAPS = {
    wasmtime.TrapCode.OUT_OF_FUEL: End.FUEL,
    wasmtime.TrapCode.STACK_OVERFLOW: End.STACK,
}


class Watch:
    """Ends what runs longer than it may: one thread for all instances, which sleeps until the next deadline."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: dict[Guest, float] = {}
        self._next = math.inf
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def begin(self, guest: "Guest", deadline: float) -> None:
        """End a guest at a time of the monotonic clock, unless `over` comes before."""
        with self._changed:
            self._deadlines[guest] = deadline
            # Most deadlines are later than the one that is waited for: nobody need wake up for them.
            if deadline < self._next:
                self._changed.notify()

    def over(self, guest: "Guest") -> None:
        with self._changed:
            self._deadlines.pop(guest, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for guest in [guest for guest, deadline in self._deadlines.items() if deadline <= now]:
                    del self._deadlines[guest]
                    guest.end(End.TIME)
                self._next = min(self._deadlines.values(), default=math.inf)
                self._changed.wait(None if self._next == math.inf else max(0.0, self._next - time.monotonic()))


class Guest:
    """An instance. `start`, `feed` and `end` may be called from any thread; what happens is told by `tell`."""

    def __init__(self, number: int, program: Program, setup: Setup, watch: Watch, tell: Callable[[News], None]) -> None:
        self.number = number
        self._program = program
        self._setup = setup
        self._watch = watch
        self._tell = tell
        self._engine = program.engine()
        self._changed = threading.Condition()
        self._input = b""
        self._next: Budget | None = None
        self._end: End | None = None
        # From here on what the instance's own thread alone uses.
        self._budget = Budget(0, 0.0, 0)
        self._running = False
        self._began = 0.0
        self._output = 0
        self._lines = {1: b"", 2: b""}
        self._store: wasmtime.Store | None = None
        self._memory: LinearMemory | None = None
        self._forwards: dict[str, wasmtime.Func] = {}

    def start(self, budget: Budget) -> None:
        thread = threading.Thread(target=self._run, args=(budget,), daemon=True, name=f"instance {self.number}")
        thread.start()

    def feed(self, data: bytes, budget: Budget) -> None:
        with self._changed:
            self._input += data
            self._next = budget
            self._changed.notify()

    def end(self, why: End) -> None:
        """End it as soon as it comes by; the first reason stays."""
        with self._changed:
            if self._end is None:
                self._end = why
                self._engine.increment_epoch()
            self._changed.notify()

    # What an instance asks for, on its own thread: implements `wasm_stdio.Streams`.

    def take(self, room: int) -> bytes | None:
        if room and not self._input and self._running:
            self._watch.over(self)
            if self._overspent():
                self.end(End.FUEL)
            if self._end is not None:
                return None
            self._running = False
            self._tell(Settled(self.number, self._usage()))
        with self._changed:
            if room and not self._input:
                self._changed.wait_for(lambda: self._input or self._end)
            if self._end is not None:
                return None
            budget, self._next = self._next, None
            data, self._input = self._input[:room], self._input[room:]
        if budget is not None:
            self._begin(budget)
        return data

    def hear(self, stream: int, size: int, data: Callable[[], bytes]) -> bool:
        self._output += size
        if self._output > self._budget.output:
            self.end(End.OUTPUT)
        if self._end is not None:
            return False
        *lines, self._lines[stream] = (self._lines[stream] + data()).split(b"\n")
        for line in lines:
            self._tell(Said(self.number, line) if stream == _STDOUT else Muttered(self.number, line))
        return True

    def pause(self, seconds: float) -> bool:
        with self._changed:
            return not self._changed.wait_for(lambda: self._end is not None, min(seconds, threading.TIMEOUT_MAX))

    # The instance's thread.

    def _begin(self, budget: Budget) -> None:
        assert self._store is not None  # noqa: S101 - made before the instance is
        self._running = True
        self._budget = budget
        self._output = 0
        if self._setup.metered:
            self._store.set_fuel(budget.fuel + _SPARE)
        self._began = time.monotonic()
        self._watch.begin(self, self._began + budget.seconds)

    def _overspent(self) -> bool:
        # Code looks at its fuel in loops and calls only: what it spent since the last of them shows here.
        return self._setup.metered and self._store is not None and not self._store.get_fuel()

    def _usage(self) -> Usage:
        fuel = self._budget.fuel + _SPARE - self._store.get_fuel() if self._store and self._setup.metered else 0
        memory = self._memory.size if self._memory else 0
        return Usage(min(fuel, self._budget.fuel), time.monotonic() - self._began, self._output, memory)

    def _run(self, budget: Budget) -> None:
        end, detail = End.FAULT, ""
        try:
            end, detail = self._live(budget)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
        self._watch.over(self)
        usage = self._usage() if self._running else Usage()
        for stream, rest in self._lines.items():
            if rest:
                self._tell(Said(self.number, rest) if stream == _STDOUT else Muttered(self.number, rest))
        # wasmtime keeps our functions as long as the store, and they would keep the store.
        self._memory = self._store = None
        self._forwards.clear()
        self._tell(Ended(self.number, self._end or end, detail, usage))

    def _live(self, budget: Budget) -> tuple[End, str]:
        store = self._store = wasmtime.Store(self._engine)
        store.set_limits(memory_size=self._setup.memory, table_elements=1_000_000)
        store.set_epoch_deadline(1)
        self._begin(budget)
        try:
            main = self._instantiate(store)
            main(store)
        except wasmtime.ExitTrap as trap:
            return End.EXIT, str(trap.code)
        except wasmtime.Trap as trap:
            return _TRAPS.get(trap.trap_code, End.TRAP) if trap.trap_code else End.TRAP, trap.message
        except wasmtime.WasmtimeError as error:
            return End.TRAP, str(error)
        return End.EXIT, "0"

    def _instantiate(self, store: wasmtime.Store) -> wasmtime.Func:
        store.set_wasi(self._wasi())
        linker = wasmtime.Linker(self._engine)
        linker.allow_shadowing = True
        linker.define_wasi()
        files = bool(self._setup.directories)
        self._define(linker, "fd_read", 4, partial(read, self), self._forward("fd_read") if files else None)
        self._define(linker, "fd_write", 4, partial(write, self), self._forward("fd_write") if files else None)
        self._define(linker, "poll_oneoff", 4, partial(poll, self))
        exports = linker.instantiate(store, self._program.module(self._engine)).exports(store)
        memory, main = exports["memory"], exports["_start"]
        assert isinstance(memory, wasmtime.Memory)  # noqa: S101 - modules are checked before they come here
        assert isinstance(main, wasmtime.Func)  # noqa: S101
        self._memory = LinearMemory(store, memory)
        if files:
            native = wasmtime.Linker(self._engine)
            native.define_wasi()
            native.define(store, "module", "memory", memory)
            bridge = native.instantiate(store, self._program.bridge(self._engine)).exports(store)
            for name in BRIDGED:
                function = bridge[name]
                assert isinstance(function, wasmtime.Func)  # noqa: S101 - see `wasm_program`
                self._forwards[name] = function
        return main

    def _define(
        self, linker: wasmtime.Linker, name: str, count: int, function: Callable[..., int], *more: Forward | None
    ) -> None:
        """Have a function of WASI be ours; an exception in it ends the instance, and goes no further."""

        def call(*values: int) -> int:
            try:
                return BADF if self._memory is None else function(self._memory, *more, *values)
            except BaseException:
                self.end(End.FAULT)
                return IO

        word = wasmtime.ValType.i32()
        linker.define_func(WASI, name, wasmtime.FuncType([word] * count, [word]), call)

    def _forward(self, name: str) -> Forward:
        def call(*values: int) -> int:
            function = self._forwards.get(name)
            if function is None or self._store is None:
                return BADF
            # Whatever ends the instance in there ends it once more as soon as it is back in its own code.
            try:
                return int(function(self._store, *values))
            except (wasmtime.Trap, wasmtime.WasmtimeError):
                return IO

        return call

    def _wasi(self) -> wasmtime.WasiConfig:
        """Nothing but what was granted: an empty `WasiConfig` has no files, no variables, no network."""
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["server", *self._setup.args]
        wasi.env = list(self._setup.env.items())
        for directory in self._setup.directories:
            wasi.preopen_dir(directory.host, directory.guest, directory.writable)
        return wasi
