"""A WebAssembly server that is there: its worker process runs, and each request gets an instance for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import mcp_types as mcp
from pydantic import BaseModel, ValidationError

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.tools import HostContext, ProgressListener
from caxton.domain.tool import (
    PromptLine,
    ResourcePart,
    ToolCall,
    ToolProgress,
    ToolPrompt,
    ToolResource,
    ToolResult,
    ToolSchema,
)
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.connection import Ending, unavailable
from caxton.tools.server_log import ServerLog
from caxton.tools.variables import expand, variable
from caxton.tools.wasm_frames import Budget, Directory, Setup, Usage
from caxton.tools.wasm_module import check_module, check_signature
from caxton.tools.wasm_pool import Pool
from caxton.tools.wasm_process import Instance, Worker, open_worker
from caxton.tools.wasm_session import Answer, NoSuchMethod, NotAnswered, Notify, Talk
from caxton.tools.wasm_settings import WasmSettings, path_in, wasm_settings
from caxton.tools.wasm_usage import UsageLog
from caxton.tools.wire import contents_of, line_of, prompt_of, resource_of, result_of, schema_of, template_of

PAGES = 100
"""Pages of a list that are read."""

Result = TypeVar("Result", bound=BaseModel)
Item = TypeVar("Item")


@asynccontextmanager
async def open_connection(
    settings: McpServerSettings, context: HostContext, log: ServerLog, end: Ending, usage: UsageLog
) -> AsyncIterator["WasmConnection"]:
    """Check the module, start its worker, and keep it until the end of the block.

    CaxtonError `tool_server_unavailable` where settings or module are not right, or it is not up in `start_timeout`.
    """
    ours = wasm_settings(settings)
    setup = await asyncio.to_thread(_setup, settings, ours, context)
    try:
        async with (
            asyncio.timeout(settings.start_timeout) as starting,
            open_worker(setup, settings.name, log, end) as worker,
        ):
            starting.reschedule(None)
            yield WasmConnection(worker, settings, ours, context, log, usage)
    except TimeoutError:
        if not starting.expired():
            raise
        raise unavailable(settings.name, f"it was not compiled within {settings.start_timeout:g} s") from None


class WasmConnection:
    """Implements `connection.Connection`."""

    def __init__(
        self,
        worker: Worker,
        settings: McpServerSettings,
        ours: WasmSettings,
        context: HostContext,
        log: ServerLog,
        usage: UsageLog,
    ) -> None:
        self._worker = worker
        self._server = settings.name
        self._timeout = settings.timeout
        self._budget = Budget(ours.max_fuel, ours.max_seconds, ours.max_output_bytes)
        self._context = context
        self._usage = usage
        self._talk = Talk(settings.name, log, memory=ours.max_memory_bytes, longest=settings.max_result_bytes)
        self._pool = Pool(self._open, ours.instances, ours.recycle_after)
        self._tools: tuple[ToolSchema, ...] | None = None
        self._listing = asyncio.Lock()

    async def tools(self) -> tuple[ToolSchema, ...]:
        async with self._listing:
            if self._tools is None:
                tools = await self._all("tools/list", mcp.ListToolsResult, lambda page: page.tools)
                self._tools = tuple(schema_of(self._server, tool) for tool in tools)
        return self._tools

    async def call(self, call: ToolCall, timeout: float, progress: ProgressListener | None) -> ToolResult:
        def notify(method: str, parameters: dict[str, object]) -> None:
            if method == "notifications/tools/list_changed":
                self._tools = None
            elif progress is not None and method == "notifications/progress":
                progress(_progress(call.id, parameters))

        parameters: dict[str, object] = {"name": call.tool.tool, "arguments": call.arguments}
        if progress is not None:
            parameters["_meta"] = {"progressToken": call.id}
        spent, ending = Usage(), "cancelled"
        try:
            async with asyncio.timeout(timeout):
                result, spent = await self._ask("tools/call", parameters, mcp.CallToolResult, notify)
            ending = "answered"
            return result_of(call, result)
        except TimeoutError:
            ending = Code.TOOL_TIMEOUT
            raise CaxtonError(Code.TOOL_TIMEOUT, f"{call.tool} did not answer within {timeout:g} s.") from None
        except NotAnswered as error:
            spent, ending = error.usage, error.code
            raise
        except CaxtonError as error:
            ending = error.code
            raise
        finally:
            self._usage.record(call, spent, ending, self._context.clock.now())

    async def resources(self) -> list[ToolResource]:
        resources = await self._all("resources/list", mcp.ListResourcesResult, lambda page: page.resources)
        templates = await self._all(
            "resources/templates/list", mcp.ListResourceTemplatesResult, lambda page: page.resource_templates
        )
        return [resource_of(self._server, one) for one in resources] + [
            template_of(self._server, one) for one in templates
        ]

    async def read_resource(self, uri: str) -> list[ResourcePart]:
        result = await self._in_time("resources/read", {"uri": uri}, mcp.ReadResourceResult)
        return [contents_of(contents) for contents in result.contents]

    async def prompts(self) -> list[ToolPrompt]:
        prompts = await self._all("prompts/list", mcp.ListPromptsResult, lambda page: page.prompts)
        return [prompt_of(self._server, prompt) for prompt in prompts]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> list[PromptLine]:
        result = await self._in_time("prompts/get", {"name": name, "arguments": dict(arguments)}, mcp.GetPromptResult)
        return [line_of(message) for message in result.messages]

    async def _open(self) -> Instance:
        instance = self._worker.open()
        try:
            await self._talk.begin(instance, self._budget)
        except BaseException:
            instance.close()
            raise
        return instance

    async def _all(self, method: str, kind: type[Result], items: Callable[[Result], list[Item]]) -> list[Item]:
        """Every item of a list, page by page; none where the server does not have it."""
        found: list[Item] = []
        cursor: str | None = None
        for _ in range(PAGES):
            try:
                page = await self._in_time(method, {"cursor": cursor} if cursor else {}, kind)
            except NoSuchMethod:
                break
            found += items(page)
            cursor = getattr(page, "next_cursor", None)
            if not cursor:
                break
        return found

    async def _in_time(self, method: str, parameters: dict[str, object], kind: type[Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                result, _ = await self._ask(method, parameters, kind)
        except TimeoutError:
            message = f"{self._server!r} did not answer {method} within {self._timeout:g} s."
            raise CaxtonError(Code.TOOL_TIMEOUT, message) from None
        return result

    async def _ask(
        self, method: str, parameters: dict[str, object], kind: type[Result], notify: Notify = lambda *_: None
    ) -> tuple[Result, Usage]:
        """The result of a request, and what it cost; NotAnswered or CaxtonError otherwise."""
        async with self._pool.lend() as instance:
            answer = await self._talk.ask(instance, method, parameters, self._budget, notify)
            # With an error all is in order. With what is no answer at all it is not: the instance is given up.
            result = None if answer.message.error else self._fit(answer, kind)
        if result is None:
            raise self._talk.refusal(answer)
        return result, answer.usage

    def _fit(self, answer: Answer, kind: type[Result]) -> Result:
        try:
            return kind.model_validate(answer.message.result)
        except ValidationError as error:
            message = f"The answer of {self._server!r} is not what it should be."
            raise NotAnswered(Code.TOOL_MALFORMED, message, why=str(error)[:1000], usage=answer.usage) from error


def _setup(settings: McpServerSettings, ours: WasmSettings, context: HostContext) -> Setup:
    """What the worker is told, once the module has been found fit."""
    name = settings.name
    module = path_in(settings, ours.module).absolute()
    try:
        data = module.read_bytes()
        facts = check_module(data, max_bytes=ours.max_module_bytes, sha256=ours.sha256)
        if ours.public_key:
            signature = path_in(settings, ours.signature) if ours.signature else module.with_name(f"{module.name}.sig")
            check_signature(data, signature.read_bytes(), ours.public_key)
    except OSError as error:
        raise unavailable(name, f"its module cannot be read: {error}") from error
    if facts.memory > ours.max_memory_bytes:
        why = f"it begins with {facts.memory} bytes of memory, `max_memory_bytes` is {ours.max_memory_bytes}"
        raise unavailable(name, why)
    cache = path_in(settings, ours.cache).resolve() if ours.cache else None
    for given in ours.write.values():
        writable = path_in(settings, given).resolve()
        if cache is not None and (cache.is_relative_to(writable) or writable.is_relative_to(cache)):
            # What lies in the cache is run outside of the sandbox.
            raise unavailable(name, f"it may write to {str(writable)!r}, and so to the cache of compiled modules")
    env = {wanted: variable(wanted, context.environ, name) for wanted in settings.inherit}
    env |= {key: expand(value, context.environ, name) for key, value in settings.env.items()}
    granted = [(ours.read, False), (ours.write, True)]
    return Setup(
        module=str(module),
        sha256=facts.sha256,
        cache="" if cache is None else str(cache),
        metered=ours.max_fuel > 0,
        memory=ours.max_memory_bytes,
        args=tuple(expand(argument, context.environ, name) for argument in settings.args),
        env=env,
        directories=tuple(
            Directory(str(path_in(settings, host).absolute()), guest, writable)
            for directories, writable in granted
            for guest, host in directories.items()
        ),
    )


def _progress(call: str, parameters: dict[str, object]) -> ToolProgress:
    progress, total, message = (parameters.get(key) for key in ("progress", "total", "message"))
    return ToolProgress(
        call=call,
        progress=float(progress) if isinstance(progress, int | float) else 0.0,
        total=float(total) if isinstance(total, int | float) else None,
        message=message if isinstance(message, str) else "",
    )
