"""A connection through the official SDK, whatever transport it runs over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Protocol, TypeVar

import mcp_types as mcp
from mcp.client import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

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
from caxton.tools.connection import MALFORMED, OVERSIZE, TOO_LARGE, Ending, NotReached, reason_of, unavailable
from caxton.tools.duties import Duties
from caxton.tools.server_log import ServerLog
from caxton.tools.wire import contents_of, line_of, prompt_of, resource_of, result_of, schema_of, template_of

PAGES = 100
"""Pages of a list that are read; a server that gives more is answered no further."""
PROBE = 5.0
"""Seconds in which a server that let a call time out has to list its tools, or it is taken for hung."""

OVERSIZED_EVENT = "event exceeded the"
"""What the SDK says when one event of a stream is larger than allowed."""

RELISTEN = 1.0
"""Seconds after which a stream of changes that ended is asked for again."""

T = TypeVar("T")
Item = TypeVar("Item")


class _Page(Protocol):
    """What all lists of the protocol have."""

    @property
    def next_cursor(self) -> str | None: ...


Page = TypeVar("Page", bound=_Page)


@asynccontextmanager
async def open_session(
    transport: AbstractAsyncContextManager[TransportStreams],
    settings: McpServerSettings,
    context: HostContext,
    log: ServerLog,
    end: Ending,
) -> AsyncIterator["Session"]:
    """Shake hands with the server behind a transport, and keep the connection until the end of the block.

    CaxtonError `tool_server_unavailable` where it does not answer within `start_timeout`, or not what it should.
    """
    duties = Duties(settings, context, log)
    changes = _Changes()
    client = Client(
        transport,
        mode="legacy" if settings.legacy else "auto",
        cache=None,
        client_info=mcp.Implementation(name="caxton", version=version("caxton")),
        message_handler=changes.hear,
        logging_callback=duties.logged,
        elicitation_callback=duties.elicit,
        sampling_callback=duties.sample if duties.offers_sampling else None,
        list_roots_callback=duties.roots if duties.offers_roots else None,
    )
    try:
        async with asyncio.timeout(settings.start_timeout):
            await client.__aenter__()
    except TimeoutError:
        why = f"it did not say what it can do within {settings.start_timeout:g} s"
        raise unavailable(settings.name, why) from None
    except CaxtonError:
        raise
    except Exception as error:
        # Whatever it is comes in groups of groups here, out of the task groups of transport and session.
        why = end.why or f"the handshake failed: {end.note or reason_of(error)}"
        raise unavailable(settings.name, why) from error
    try:
        session = Session(client, settings, end, changes)
        async with asyncio.TaskGroup() as group:
            attending = group.create_task(session.attend(), name=f"{settings.name}: attendance")
            try:
                yield session
            finally:
                attending.cancel()
    finally:
        await client.__aexit__(None, None, None)


class _Changes:
    """Which lists the server said are no longer what they were."""

    def __init__(self) -> None:
        self.tools = 0

    async def hear(self, message: IncomingMessage) -> None:
        if isinstance(message, mcp.ToolListChangedNotification):
            self.tools += 1


class Session:
    """Implements `connection.Connection`; made by `open_session`."""

    def __init__(self, client: Client, settings: McpServerSettings, end: Ending, changes: _Changes) -> None:
        self._client = client
        self._settings = settings
        self._end = end
        self._changes = changes
        self._tools: tuple[ToolSchema, ...] = ()
        self._tools_of = -1
        self._listing = asyncio.Lock()
        self._doubtful = asyncio.Event()

    async def tools(self) -> tuple[ToolSchema, ...]:
        if self._tools_of == self._changes.tools:
            return self._tools
        async with self._listing:
            # Once, also where it changes again meanwhile: a server that never rests must not keep us here.
            if self._tools_of != (asked := self._changes.tools):
                tools = await self._all(self._client.list_tools, lambda page: page.tools)
                listing = tuple(schema_of(self._settings.name, tool) for tool in tools)
                if listing != self._tools:
                    self._tools = listing
                self._tools_of = asked
        return self._tools

    async def call(self, call: ToolCall, timeout: float, progress: ProgressListener | None) -> ToolResult:
        listen = None if progress is None else _listener(call.id, progress)
        try:
            async with asyncio.timeout(timeout):
                result = await self._ask(
                    self._client.call_tool(call.tool.tool, call.arguments, progress_callback=listen)
                )
        except TimeoutError:
            self._doubtful.set()
            raise CaxtonError(Code.TOOL_TIMEOUT, f"{call.tool} did not answer within {timeout:g} s.") from None
        return result_of(call, result)

    async def resources(self) -> list[ToolResource]:
        server = self._settings.name
        resources = await self._all(self._client.list_resources, lambda page: page.resources)
        templates = await self._all(self._client.list_resource_templates, lambda page: page.resource_templates)
        return [resource_of(server, one) for one in resources] + [template_of(server, one) for one in templates]

    async def read_resource(self, uri: str) -> list[ResourcePart]:
        async with self._in_time(f"the resource {uri!r}"):
            result = await self._ask(self._client.read_resource(uri))
        return [contents_of(contents) for contents in result.contents]

    async def prompts(self) -> list[ToolPrompt]:
        prompts = await self._all(self._client.list_prompts, lambda page: page.prompts)
        return [prompt_of(self._settings.name, prompt) for prompt in prompts]

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> list[PromptLine]:
        async with self._in_time(f"the prompt {name!r}"):
            result = await self._ask(self._client.get_prompt(name, dict(arguments)))
        return [line_of(message) for message in result.messages]

    async def attend(self) -> None:
        """Look after the connection until cancelled: hear of changes, and find out whether a slow server is hung."""
        async with asyncio.TaskGroup() as group:
            capabilities = self._client.server_capabilities
            modern = self._client.protocol_version in MODERN_PROTOCOL_VERSIONS
            if modern and capabilities.tools is not None and capabilities.tools.list_changed:
                group.create_task(self._follow_changes())
            while True:
                await self._doubtful.wait()
                self._doubtful.clear()
                try:
                    async with asyncio.timeout(PROBE):
                        await self._ask(self._client.list_tools())
                except TimeoutError:
                    self._end.tell("it hangs: a call ran out of time, and then it did not even list its tools")
                except CaxtonError:
                    # Any answer is a sign of life, and a lost connection tells its own end.
                    continue

    async def _follow_changes(self) -> None:
        # From protocol 2026-07-28 on changes are told only to those who ask, and only from then on: what changed before
        # we were heard, at first or after a stream was lost, is found by listing once more.
        while True:
            try:
                async with self._client.listen(tools_list_changed=True) as events:
                    self._changes.tools += 1
                    async for _ in events:
                        self._changes.tools += 1
            except MCPError:
                return
            except (SubscriptionLost, TimeoutError):
                pass
            await asyncio.sleep(RELISTEN)

    @asynccontextmanager
    async def _in_time(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
        except TimeoutError:
            server, timeout = self._settings.name, self._settings.timeout
            raise CaxtonError(Code.TOOL_TIMEOUT, f"{server!r} did not give {what} within {timeout:g} s.") from None

    async def _all(self, fetch: Callable[..., Awaitable[Page]], items: Callable[[Page], list[Item]]) -> list[Item]:
        """Every item of a list, page by page; none of a list that the server does not have."""
        found: list[Item] = []
        cursor: str | None = None
        async with self._in_time("its list"):
            for _ in range(PAGES):
                try:
                    page = await self._ask(fetch(cursor=cursor), missing=True)
                except _NoSuchMethod:
                    return []
                found += items(page)
                cursor = page.next_cursor
                if not cursor:
                    break
        return found

    async def _ask(self, answer: Awaitable[T], *, missing: bool = False) -> T:
        """Wait for an answer, and make our error of whatever comes instead."""
        server = self._settings.name
        try:
            return await answer
        except MCPError as error:
            code, words = error.error.code, error.error.message
            if code == mcp.METHOD_NOT_FOUND and missing:
                raise _NoSuchMethod from error
            if words == "Session terminated":
                # The server was started anew and does not know our session, so it did not do anything either.
                self._end.tell("it does not know the session any more")
                raise unavailable(server, self._end.why, NotReached) from error
            if code == TOO_LARGE or OVERSIZE in words or OVERSIZED_EVENT in words:
                raise CaxtonError(Code.TOOL_RESULT_TOO_LARGE, f"{server!r}: {words}") from error
            if code == mcp.CONNECTION_CLOSED:
                self._end.tell(words)
                raise unavailable(server, f"the connection was lost before the answer came: {self._end.why}") from error
            if code == MALFORMED:
                raise CaxtonError(Code.TOOL_MALFORMED, f"{server!r}: {words}") from error
            raise CaxtonError(
                Code.TOOL_FAILED, f"{server!r} answered with an error: {words}", why=f"JSON-RPC {code}"
            ) from error
        except (ValidationError, RuntimeError) as error:
            # What the SDK makes of answers that do not fit the protocol, or the schema that the tool itself announced.
            raise CaxtonError(
                Code.TOOL_MALFORMED, f"The answer of {server!r} is not what it should be.", why=str(error)[:1000]
            ) from error


def _listener(call: str, tell: ProgressListener) -> ProgressFnT:
    async def listen(progress: float, total: float | None, message: str | None) -> None:
        tell(ToolProgress(call=call, progress=progress, total=total, message=message or ""))

    return listen


class _NoSuchMethod(Exception):
    """The server does not have this list."""
