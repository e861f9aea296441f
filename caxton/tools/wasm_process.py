"""The worker process of a WebAssembly server, as Caxton sees it: started, listened to, and ended."""

import asyncio
import itertools
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from caxton.domain.errors import CaxtonError
from caxton.tools.connection import Ending, unavailable
from caxton.tools.lines import read_lines
from caxton.tools.server_log import ServerLog
from caxton.tools.wasm_frames import (
    HEADER,
    LONGEST,
    Budget,
    Close,
    Ended,
    Feed,
    Muttered,
    News,
    Open,
    Order,
    Ready,
    Refused,
    Said,
    Settled,
    Setup,
    frame,
    news,
)

GRACE = 2.0
"""Seconds that an instance may be late with its end before its whole process is ended; and the process with its own."""
LONGEST_NOTE = 65_536

Listener = Callable[[bytes], None]
"""Is told each line that an instance writes, as it comes."""


class Instance:
    """An instance in a worker. One exchange at a time; made by `Worker.open`."""

    def __init__(self, number: int, worker: "Worker") -> None:
        self.number = number
        self.exchanges = 0
        self.ended: Ended | None = None
        self._worker = worker
        self._settled: asyncio.Future[Settled | Ended] | None = None
        self._listener: Listener | None = None

    async def exchange(self, data: bytes | None, budget: Budget, listener: Listener) -> Settled | Ended:
        """Give it input (None: let it start) and wait until it wants more, or has ended.

        Cancelled, it ends the instance. `tool_server_unavailable` where the whole process ends meanwhile.
        """
        self.exchanges += 1
        self._listener = listener
        self._settled = asyncio.get_running_loop().create_future()
        number = self.number
        self._worker.send(Open(number, budget) if data is None else Feed(number, data, budget))
        try:
            async with asyncio.timeout(budget.seconds + GRACE):
                return await self._settled
        except TimeoutError:
            # It is stuck where its code does not run, in reading a named pipe, say.
            self._worker.give_up("an instance did not end when its time was up")
            raise self._worker.lost() from None
        except BaseException:
            self.close()
            raise
        finally:
            self._settled = self._listener = None

    def close(self) -> None:
        """End it, wherever it is; harmless when repeated."""
        if self.ended is None:
            self._worker.send(Close(self.number))

    def hear(self, told: Said | Settled | Ended) -> None:
        if isinstance(told, Said):
            if self._listener is not None:
                self._listener(told.line)
            return
        if isinstance(told, Ended):
            self.ended = told
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(told)

    def lose(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_exception(self._worker.lost())


class Worker:
    """A worker that is ready; made by `open_worker`."""

    def __init__(self, process: asyncio.subprocess.Process, server: str, log: ServerLog, end: Ending) -> None:
        assert process.stdin is not None  # noqa: S101 - all three are pipes
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._server = server
        self._log = log
        self._end = end
        self._numbers = itertools.count(1)
        self._instances: dict[int, Instance] = {}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def instances(self) -> int:
        """How many there are now."""
        return len(self._instances)

    def open(self) -> Instance:
        """An instance that has not started yet."""
        number = next(self._numbers)
        instance = self._instances[number] = Instance(number, self)
        return instance

    def send(self, given: Order) -> None:
        # Not drained: there is no more under way than the instances were given.
        if not self._end.told:
            self._input.write(frame(given))

    async def receive(self) -> News:
        """The next frame. asyncio.IncompleteReadError at the end, ValueError where it is none."""
        size = int.from_bytes(await self._output.readexactly(HEADER), "big")
        if size > LONGEST:
            raise ValueError(f"a frame of {size} bytes")
        return news(await self._output.readexactly(size))

    async def attend(self) -> None:
        """Hand on what comes, until the process ends."""
        try:
            while True:
                told = await self.receive()
                match told:
                    case Said() | Settled() | Ended():
                        instance = self._instances.get(told.instance)
                        if instance is not None:
                            instance.hear(told)
                        if isinstance(told, Ended):
                            self._instances.pop(told.instance, None)
                    case Muttered(line=line):
                        self._log.heard(line[:LONGEST_NOTE].decode(errors="replace"))
                    case Ready() | Refused():
                        continue
        except (asyncio.IncompleteReadError, ConnectionError):
            self._end.tell("its process ended")
        except ValueError as error:
            self.give_up(f"what it said could not be read: {error}")
        finally:
            self._end.tell("its process is ended")
            for instance in self._instances.values():
                instance.lose()

    def give_up(self, why: str) -> None:
        """End the process at once, with all its instances."""
        self._log.note(f"Its process is ended: {why}.")
        self._end.tell(why)
        with suppress(ProcessLookupError):
            self._process.kill()

    def lost(self) -> CaxtonError:
        return unavailable(self._server, self._end.why)


@asynccontextmanager
async def open_worker(setup: Setup, server: str, log: ServerLog, end: Ending) -> AsyncIterator[Worker]:
    """Run a worker until the end of the block. `end` is told when it ends before.

    CaxtonError `tool_server_unavailable` where it does not start or does not take the module.
    """
    process = await _spawn(server)
    assert process.stdin is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    worker = Worker(process, server, log, end)
    tasks = [asyncio.create_task(_listen(process.stderr, log), name=f"{server}: standard error")]
    try:
        worker.send(setup)
        match await _answer(worker, server):
            case Refused(why=why):
                raise unavailable(server, f"its module cannot be run: {why}")
            case Ready(seconds=seconds, cached=cached):
                log.note(f"Module {'loaded' if cached else 'compiled'} in {seconds * 1e3:.0f} ms.", logging.INFO)
        tasks.append(asyncio.create_task(worker.attend(), name=f"{server}: output"))
        yield worker
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(GRACE):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _spawn(server: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "caxton.tools.wasm_worker",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Nothing of our environment: what a module may see comes with the setup, and there is nothing else to find.
            env={name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ},
            start_new_session=True,
        )
    except OSError as error:
        raise unavailable(server, f"its process cannot be started: {error}") from error


async def _answer(worker: Worker, server: str) -> News:
    try:
        return await worker.receive()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        raise unavailable(server, "its process ended before it was ready") from None


async def _listen(stderr: asyncio.StreamReader, log: ServerLog) -> None:
    async for line in read_lines(stderr, LONGEST_NOTE):
        log.heard(line.head.decode(errors="replace"))
