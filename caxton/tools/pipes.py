"""A subprocess that speaks JSON-RPC in lines (MCP's stdio transport), as a transport of the SDK.

Ours and not the SDK's for what a server may do wrong: it bounds the size of an answer, fails the call whose answer is
broken instead of letting it wait, puts standard error into the log, and can say how the process ended.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import psutil
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, jsonrpc_message_adapter

from caxton.domain.errors import CaxtonError, Code
from caxton.tools.connection import MALFORMED, TOO_LARGE, Ending
from caxton.tools.lines import Line, read_lines
from caxton.tools.server_log import ServerLog

GRACE = 2.0
"""Seconds from closing its input to ending a server, and from asking it to end to killing it."""
POLL = 0.01
WAITING_TO_BE_WRITTEN = 256
"""Messages that may wait for a server which does not read; the next one waits itself."""

_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]{1,100}")'
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID)
_ID_LAST = re.compile(_ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


@asynccontextmanager
async def open_pipes(
    command: list[str],
    *,
    server: str,
    env: Mapping[str, str],
    cwd: Path | None,
    limit: int,
    log: ServerLog,
    end: Ending,
) -> AsyncIterator[TransportStreams]:
    """Run a server until the end of the block; then it and what it started have ended.

    `limit` is in bytes for one line of its output. `end` is told when the process is gone, and how. CaxtonError
    `tool_server_unavailable` where it cannot be started.
    """
    process = await _spawn(command, server, env, cwd)
    assert process.stdin is not None  # noqa: S101 - all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    incoming, to_session = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_session, outgoing = anyio.create_memory_object_stream[SessionMessage](WAITING_TO_BE_WRITTEN)
    tasks = [
        asyncio.create_task(_read(process, process.stdout, incoming, limit, log, end), name=f"{server}: output"),
        asyncio.create_task(_write(process.stdin, outgoing), name=f"{server}: input"),
        asyncio.create_task(_listen(process.stderr, log), name=f"{server}: standard error"),
    ]
    try:
        yield to_session, from_session
    finally:
        for stream in (to_session, from_session):
            stream.close()
        try:
            await _stop(process, tasks[1])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for other in (incoming, outgoing):
                other.close()
            _release(process)


async def _spawn(
    command: list[str], server: str, env: Mapping[str, str], cwd: Path | None
) -> asyncio.subprocess.Process:
    # Found by the server's own PATH, and with the ending that Windows' scripts have (npx.cmd).
    program = shutil.which(command[0], path=env.get("PATH"))
    try:
        if program is None:
            raise FileNotFoundError(f"there is no program {command[0]!r} on its PATH")
        return await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            # A group of its own: out of reach of the terminal's Ctrl-C, and ended with all that it started.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise CaxtonError(
            Code.TOOL_SERVER_UNAVAILABLE,
            f"The tool server {server!r} cannot be started.",
            why=str(error),
            hint=f"Check `command` and `cwd` in [mcp_servers.{server}].",
        ) from error


async def _read(
    process: asyncio.subprocess.Process,
    stdout: asyncio.StreamReader,
    session: MemoryObjectSendStream[SessionMessage | Exception],
    limit: int,
    log: ServerLog,
    end: Ending,
) -> None:
    wanted = True
    try:
        async for line in read_lines(stdout, limit):
            # Once the session is gone the output is still read, for a server stuck in writing could not end.
            if wanted and (message := _message(line, limit, log)) is not None:
                try:
                    await session.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    wanted = False
        await _ended(process, GRACE)
    finally:
        # First the cause, then the news: those who wait for answers ask for it.
        end.tell(_how(process.returncode))
        session.close()


def _message(line: Line, limit: int, log: ServerLog) -> SessionMessage | None:
    if line.whole:
        if not line.head.strip():
            return None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line.head, by_name=False))
        except ValueError:
            code, what = MALFORMED, "It answered with what is no JSON-RPC message"
    else:
        code, what = TOO_LARGE, f"Its answer has more than {limit} bytes"
    log.note(f"{what}: {line.head[:200].decode(errors='replace')!r}")
    answered = _ID_FIRST.match(line.head) or _ID_LAST.search(line.tail or line.head)
    if answered is None:
        return None
    raw = answered[1].decode()
    number = raw.strip('"') if raw.startswith('"') else int(raw)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=f"{what}.")))


async def _write(stdin: asyncio.StreamWriter, messages: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async for message in messages:
        data = message.message.model_dump_json(by_alias=True, exclude_unset=True)
        stdin.write(data.encode() + b"\n")
        # A server that is gone shows on its output, where its end is told.
        with suppress(ConnectionError):
            await stdin.drain()


async def _listen(stderr: asyncio.StreamReader, log: ServerLog) -> None:
    async for line in read_lines(stderr, 65_536):
        log.heard(line.head.decode(errors="replace"))


async def _stop(process: asyncio.subprocess.Process, writing: "asyncio.Task[None]") -> None:
    """Close its input, then ask, then kill (MCP 2025-11-25, lifecycle, shutdown), it and all that it started."""
    assert process.stdin is not None  # noqa: S101
    try:
        await asyncio.wait([writing], timeout=GRACE)
        with suppress(OSError, RuntimeError):
            process.stdin.close()
        if not await _ended(process, GRACE):
            _signal(process, kill=False)
            await _ended(process, GRACE)
    finally:
        # Also where we are cancelled here, and for children that outlived their parent.
        _signal(process, kill=True)
    await _ended(process, GRACE)


async def _ended(process: asyncio.subprocess.Process, within: float) -> bool:
    # Not `wait()`: from Python 3.11 on that also waits for the pipes, which a child of the process may hold.
    deadline = asyncio.get_running_loop().time() + within
    while process.returncode is None:
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True


def _signal(process: asyncio.subprocess.Process, *, kill: bool) -> None:
    if sys.platform == "win32":
        with suppress(psutil.Error):
            parent = psutil.Process(process.pid)
            for one in [*parent.children(recursive=True), parent]:
                with suppress(psutil.Error):
                    one.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)


def _release(process: asyncio.subprocess.Process) -> None:
    """Close the pipes even where somebody else still holds their other ends."""
    with suppress(PermissionError):
        process._transport.close()  # type: ignore[attr-defined]


def _how(status: int | None) -> str:
    if status is None:
        return "it closed its output"
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it ended with status {status}"
