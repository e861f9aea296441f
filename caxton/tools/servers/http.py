"""Web requests to hosts of a list: `python -m caxton.tools.servers.http --allow-host example.com`."""

import argparse
from importlib.metadata import version

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from caxton.tools.servers.web import Web, WebAnswer, WebFault, WebRules

TEXTUAL = ("text/", "application/json", "application/xml", "application/javascript", "application/x-www-form")
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def make_server(web: Web) -> MCPServer:
    server: MCPServer = MCPServer("http", version=version("caxton"), log_level="WARNING")

    # Results are texts and images for a model to read; a schema of them would say nothing.
    @server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    async def get(url: str, accept: str = "*/*") -> list[str | Image]:
        """What is at a URL (http or https), with the status it was answered with."""
        return _shown(await _made(web, "GET", url, {"Accept": accept}))

    @server.tool(annotations=ToolAnnotations(read_only_hint=False), structured_output=False)
    async def post(url: str, body: str, content_type: str = "application/json") -> list[str | Image]:
        """Send a text to a URL (http or https) by POST, and get the answer with its status."""
        headers = {"Accept": "*/*", "Content-Type": content_type}
        return _shown(await _made(web, "POST", url, headers, body.encode(errors="replace")))

    return server


async def _made(web: Web, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> WebAnswer:
    if any(not value.isprintable() or not value.isascii() for value in headers.values()):
        raise ToolError(f"A header has characters that no header may have: {headers!r}.")
    try:
        return await web.request(method, url, headers, body)
    except WebFault as fault:
        raise ToolError(str(fault)) from fault


def _shown(answer: WebAnswer) -> list[str | Image]:
    cut = f", cut off at {len(answer.body)} bytes" if answer.truncated else ""
    head = f"HTTP {answer.status} from {answer.url} ({answer.media_type}{cut})"
    if answer.media_type in IMAGES and not answer.truncated:
        return [head, Image(data=answer.body, format=answer.media_type.removeprefix("image/"))]
    if answer.media_type.startswith(TEXTUAL) or answer.media_type.endswith(("+json", "+xml")):
        return [head, _decoded(answer)]
    return [f"{head}: {len(answer.body)} bytes that are no text."]


def _decoded(answer: WebAnswer) -> str:
    try:
        return answer.body.decode(answer.charset, errors="replace")
    except LookupError:
        return answer.body.decode(errors="replace")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make web requests over MCP, to hosts of a list.")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="a host that may be asked; *.example.com for all below it, * for every public one; may be repeated",
    )
    parser.add_argument("--allow-private", action="store_true", help="also hosts at private addresses")
    parser.add_argument("--max-bytes", type=int, default=1_048_576, help="of an answer (default %(default)s)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for a request (default %(default)s)")
    arguments = parser.parse_args()
    rules = WebRules(
        hosts=tuple(arguments.allow_host),
        private=arguments.allow_private,
        max_bytes=arguments.max_bytes,
        timeout=arguments.timeout,
    )
    make_server(Web(rules)).run()


if __name__ == "__main__":
    main()
