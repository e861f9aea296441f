"""Servers reached by streamable HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from caxton.domain.ports.tools import HostContext
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.connection import OVERSIZE, Connection, Ending
from caxton.tools.server_log import ServerLog
from caxton.tools.session import open_session
from caxton.tools.variables import expand, variable


@asynccontextmanager
async def connect(
    settings: McpServerSettings, context: HostContext, log: ServerLog, end: Ending
) -> AsyncIterator[Connection]:
    """A `connection.Connect`."""

    async def seen(response: httpx2.Response) -> None:
        # The SDK keeps the status to itself, and 401 or 503 is what a person needs to know. A server without a stream
        # of its own answers 405 to GET, and one that keeps no sessions to DELETE: that is in order.
        if response.request.method == "POST" and response.status_code >= 400:
            end.note = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()

    client = create_mcp_http_client(headers=_headers(settings, context), auth=_auth(settings, context))
    client.event_hooks = {"request": [], "response": [seen, _Limit(settings.max_result_bytes)]}
    async with client:
        transport = streamable_http_client(
            expand(settings.url, context.environ, settings.name),
            http_client=client,
            max_sse_event_size=settings.max_result_bytes,
        )
        async with open_session(transport, settings, context, log, end) as session:
            yield session


def _headers(settings: McpServerSettings, context: HostContext) -> dict[str, str]:
    headers = {name: expand(value, context.environ, settings.name) for name, value in settings.headers.items()}
    if settings.bearer_env is not None:
        headers["Authorization"] = f"Bearer {variable(settings.bearer_env, context.environ, settings.name)}"
    return headers


def _auth(settings: McpServerSettings, context: HostContext) -> httpx2.Auth | None:
    if settings.oauth is None:
        return None
    return ClientCredentialsOAuthProvider(
        settings.url,
        _Tokens(),
        variable(settings.oauth.client_id_env, context.environ, settings.name),
        variable(settings.oauth.client_secret_env, context.environ, settings.name),
        scope=settings.oauth.scope,
    )


class _Tokens:
    """Keeps what the authorization server gave, as long as the connection lasts."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class _Limit:
    """Bounds the bodies of answers; event streams are bounded by the event, by the SDK."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def __call__(self, response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - the client is asynchronous
            response.stream = _Counted(response.stream, self._limit)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._limit:
                raise httpx2.StreamError(f"{OVERSIZE} {self._limit} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
