"""Servers reached by HTTP: keys, refusals, lost sessions, and answers that are too large."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from caxton.domain.clock import SystemClock
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.ports.tools import HostContext
from caxton.domain.tool_settings import McpServerSettings
from caxton.testing.clock import FakeClock
from caxton.tools.host import McpHost, http_host


class Server(BaseHTTPRequestHandler):
    """A server of the 2025 protocol that answers in JSON. What it does wrong is set on the listening server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((message["method"], dict(self.headers)))
        if self.server.status:
            self.reply(self.server.status, b"go away", Location=self.server.onward)
            return
        method, number = message["method"], message.get("id")
        if number is None:
            self.reply(202)
        elif method == "initialize":
            self.server.sessions += 1
            self.answer(
                number,
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "s", "version": "1"},
                },
                **{"Mcp-Session-Id": f"session-{self.server.sessions}"},
            )
        elif method != "server/discover" and self.headers.get("Mcp-Session-Id") != f"session-{self.server.sessions}":
            self.reply(404)
        elif method == "tools/list":
            self.answer(number, {"tools": [{"name": "say", "inputSchema": {"type": "object"}}]})
        elif method == "tools/call":
            text = "x" * message["params"]["arguments"].get("size", 5)
            self.answer(number, {"content": [{"type": "text", "text": text}]})
        else:
            error = {"code": -32601, "message": "Method not found"}
            self.reply(200, json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode())

    def do_GET(self) -> None:
        self.reply(405)

    def do_DELETE(self) -> None:
        self.server.ended.append(self.headers.get("Mcp-Session-Id"))
        self.reply(200)

    def answer(self, number: object, result: object, **headers: str) -> None:
        self.reply(200, json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode(), **headers)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.seen, server.ended, server.sessions, server.status, server.onward = [], [], 0, 0, ""
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
async def reach(site, no_tasks_left):
    """Makes a host of the site: `reach(bearer_env="TOKEN")`."""
    made: list[McpHost] = []

    def make(environ=None, clock=None, **settings):
        settings = {"url": f"http://127.0.0.1:{site.server_port}/mcp", "start_timeout": 10.0, **settings}
        context = HostContext(clock=clock or SystemClock(), environ=environ or {})
        made.append(http_host(McpServerSettings(name="remote", kind="http", **settings), context))
        return made[-1]

    yield make
    await asyncio.gather(*(one.aclose() for one in made))


async def failure(awaitable) -> CaxtonError:
    with pytest.raises(CaxtonError) as caught:
        await awaitable
    return caught.value


async def test_keys_from_the_environment_go_with_every_request(site, reach, call):
    environ = {"TOKEN": "s3cret", "TEAM": "blue"}
    host = reach(environ, bearer_env="TOKEN", headers={"X-Team": "${TEAM}"})
    assert (await host.call(call("remote.say"))).text() == "xxxxx"
    for method, headers in site.seen:
        assert (headers["Authorization"], headers["X-Team"]) == ("Bearer s3cret", "blue"), method
    assert "s3cret" not in " ".join(host.logs())


async def test_a_key_that_is_not_there_is_named(reach):
    assert "'TOKEN'" in (await failure(reach(bearer_env="TOKEN").tools())).why


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_refusal_is_told_with_its_status(site, reach, status):
    site.status = status
    error = await failure(reach().tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert f"HTTP {status}" in error.why


async def test_keys_are_not_carried_to_another_host(site, reach):
    site.status, site.onward = 307, f"http://localhost:{site.server_port}/mcp"
    error = await failure(reach({"TOKEN": "s3cret"}, bearer_env="TOKEN").tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert {headers["Host"] for _, headers in site.seen} == {f"127.0.0.1:{site.server_port}"}


async def test_a_server_that_is_not_there_is_reported(reach):
    error = await failure(reach(url="http://127.0.0.1:1/mcp").tools())
    assert error.code is Code.TOOL_SERVER_UNAVAILABLE
    assert "ConnectError" in error.why


async def test_a_server_that_forgot_the_session_is_greeted_again_and_the_call_made(site, reach, call):
    host = reach()
    await host.tools()
    site.sessions += 1
    assert (await host.call(call("remote.say"))).text() == "xxxxx"


async def test_a_server_that_goes_away_fails_the_call_and_is_found_again(site, reach, call):
    clock = FakeClock()
    host = reach(clock=clock)
    await host.tools()
    site.status = 503
    assert (await failure(host.call(call("remote.say")))).code is Code.TOOL_FAILED
    site.status = 0
    assert (await host.call(call("remote.say"))).text() == "xxxxx"


async def test_an_answer_that_is_too_large_is_not_read_to_its_end(reach, call):
    host = reach(max_result_bytes=10_000)
    error = await failure(host.call(call("remote.say", size=1_000_000)))
    assert error.code is Code.TOOL_RESULT_TOO_LARGE
    assert (await host.call(call("remote.say"))).text() == "xxxxx"


async def test_the_session_is_ended_with_the_host(site, reach):
    host = reach()
    await host.tools()
    await host.aclose()
    assert site.ended == ["session-1"]
