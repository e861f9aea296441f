"""MCP as it is spoken with one instance of a WebAssembly server: a line in, lines out until it wants the next."""

import itertools
from collections.abc import Callable
from importlib.metadata import version

import mcp_types as mcp
import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.tools.server_log import ServerLog
from caxton.tools.wasm_frames import Budget, End, Ended, Usage
from caxton.tools.wasm_process import Instance

PROTOCOL = "2025-06-18"
"""What we say we speak; any answer will do, for tools are called alike in all versions so far."""
SHOWN = 200
"""Bytes shown of a line that is no message."""
_FULL = 0.9
"""An instance that fails with more of its memory in use than this share has most likely failed for want of memory."""
_LIMITS = (End.FUEL, End.TIME, End.OUTPUT, End.STACK)

Notify = Callable[[str, dict[str, object]], None]
"""Is told the notifications that come before the answer: method and parameters."""


class Message(msgspec.Struct, frozen=True):
    """A JSON-RPC message that came; all that is not in it is None."""

    id: int | str | None = None
    method: str | None = None
    params: dict[str, object] | None = None
    result: dict[str, object] | None = None
    error: dict[str, object] | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of a request, and what it cost. Either has a result or an error, if it is one."""

    message: Message
    usage: Usage


class NotAnswered(CaxtonError):
    """A request without a result. `usage` is what it cost all the same."""

    def __init__(self, code: Code, message: str, *, why: str = "", hint: str = "", usage: Usage) -> None:
        super().__init__(code, message, why=why, hint=hint)
        self.usage = usage


class NoSuchMethod(NotAnswered):
    """The server does not know the method."""


_messages: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class Talk:
    """Requests to instances of one server, which have `memory` bytes and may answer with `longest`."""

    def __init__(self, server: str, log: ServerLog, *, memory: int, longest: int) -> None:
        self._server = server
        self._longest = longest
        self._log = log
        self._memory = memory
        self._ids = itertools.count(1)
        self._hello = _line({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def begin(self, instance: Instance, budget: Budget) -> None:
        """Start an instance and shake hands with it."""
        started = await instance.exchange(None, budget, self._unasked)
        if isinstance(started, Ended):
            raise self._failed(started, "at its start", budget)
        parameters: dict[str, object] = {
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "caxton", "version": version("caxton")},
        }
        answer = await self.ask(instance, "initialize", parameters, budget)
        if answer.message.result is None:
            raise self.refusal(answer)

    async def ask(
        self,
        instance: Instance,
        method: str,
        parameters: dict[str, object],
        budget: Budget,
        notify: Notify = lambda method, parameters: None,
    ) -> Answer:
        """Make a request. NotAnswered where nothing comes of it; the instance is then of no more use."""
        number = next(self._ids)
        answers: list[Message] = []
        strange: list[str] = []
        too_long: list[int] = []

        def hear(line: bytes) -> None:
            if len(line) > self._longest:
                too_long.append(len(line))
            if len(line) > self._longest or not line.strip():
                return
            try:
                message = _messages.decode(line)
            except msgspec.DecodeError as error:
                strange.append(f"{line[:SHOWN].decode(errors='replace')!r} ({error})")
                return
            if message.method is not None and message.id is None:
                notify(message.method, message.params or {})
            elif message.method is not None:
                strange.append(f"a request of its own, {message.method!r}, which WebAssembly servers cannot make")
            elif message.id == number:
                answers.append(message)
            else:
                strange.append(f"an answer to {message.id!r}, which nobody asked")

        request = _line({"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        # It has been initialized once it has answered the first request, and is told so with the second.
        data = self._hello + request if instance.exchanges == 2 else request
        told = await instance.exchange(data, budget, hear)
        for one in strange:
            self._log.note(f"It said {one}.")
        # Limits hold until it waits for the next request, whether it has answered this one or not.
        if isinstance(told, Ended) and (not answers or told.end in _LIMITS):
            raise self._failed(told, f"in {method}", budget)
        if too_long:
            message = f"The answer of {self._server!r} has {too_long[0]} bytes, more than the {self._longest} allowed."
            raise NotAnswered(Code.TOOL_RESULT_TOO_LARGE, message, usage=told.usage)
        if answers:
            return Answer(answers[0], told.usage)
        raise NotAnswered(
            Code.TOOL_MALFORMED,
            f"{self._server!r} did not answer the request.",
            why=f"It waits for another; it said {strange[0]}." if strange else "It said nothing and waits for another.",
            usage=told.usage,
        )

    def refusal(self, answer: Answer) -> NotAnswered:
        """What to raise for an answer that is an error: `tool_failed`."""
        error = answer.message.error or {}
        code, words = error.get("code"), error.get("message")
        kind = NoSuchMethod if code == mcp.METHOD_NOT_FOUND else NotAnswered
        message = f"{self._server!r} answered with an error: {words}"
        return kind(Code.TOOL_FAILED, message, why=f"JSON-RPC {code}", usage=answer.usage)

    def _failed(self, ended: Ended, when: str, budget: Budget) -> NotAnswered:
        """What is to be said of an instance that ended without an answer."""
        cause, place = _cause(ended.detail)
        self._log.note(f"An instance ended {when}, {ended.end}: {cause}{place and f', at {place}'}")
        usage, server = ended.usage, self._server
        limits = {
            End.FUEL: (f"{budget.fuel} units of fuel", "Raise `max_fuel`"),
            End.TIME: (f"{budget.seconds:g} seconds", "Raise `max_seconds`"),
            End.OUTPUT: (f"{budget.output} bytes of output", "Raise `max_output_bytes`"),
            End.STACK: ("the stack that there is", "See whether its calls come to an end"),
        }
        limit = limits.get(ended.end)
        if limit is None and usage.memory > _FULL * self._memory and ended.end in (End.TRAP, End.EXIT):
            # It was refused more and did not get by without: a module tells nobody which of its wishes was refused.
            limit = f"{self._memory} bytes of memory", "Raise `max_memory_bytes`"
        if limit is None:
            return NotAnswered(
                Code.TOOL_SERVER_UNAVAILABLE,
                f"The WebAssembly server {server!r} ended {when}.",
                why="it was closed" if ended.end is End.CLOSED else f"{ended.end}: {cause}",
                hint=f"The next call has a new instance; `caxton tool logs {server}` has more.",
                usage=usage,
            )
        what, hint = limit
        return NotAnswered(
            Code.TOOL_LIMIT_EXCEEDED,
            f"The WebAssembly server {server!r} used more than {what} {when}.",
            why=cause,
            hint=f"{hint} in [mcp_servers.{server}.wasm], or ask it for less.",
            usage=usage,
        )

    def _unasked(self, line: bytes) -> None:
        if line.strip():
            self._log.note(f"It spoke before it was asked: {line[:SHOWN].decode(errors='replace')!r}")


def _line(message: dict[str, object]) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def _cause(detail: str) -> tuple[str, str]:
    """The cause of an end and where in the module it was, out of the many lines that wasmtime tells it in."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    place = next((line.partition(":")[2].strip() for line in lines if line.startswith("0:")), "")
    return lines[-1] if lines else "", place
