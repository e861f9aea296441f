"""A well-behaved tool server on the SDK, for the contract of hosts: `python tool_server.py [PORT]`, stdio without."""

import sys

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)


class Sum(BaseModel):
    total: int


server = MCPServer("reference", log_level="WARNING")


@server.tool()
def echo(text: str) -> str:
    """Says it again."""
    return text


@server.tool()
def add(a: int, b: int) -> Sum:
    """The sum."""
    return Sum(total=a + b)


@server.tool()
def fail(words: str) -> str:
    """Fails, with these words."""
    raise ToolError(words)


@server.tool(structured_output=False)
def picture() -> list[str | Image]:
    """A picture of one pixel."""
    return ["one pixel:", Image(data=PIXEL, format="png")]


@server.tool()
async def count(steps: int, context: Context) -> str:
    """Reports each step."""
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step + 1}")
    return f"{steps} steps"


@server.tool()
async def wait(seconds: float) -> str:
    """Waits."""
    await anyio.sleep(seconds)
    return "waited"


@server.tool()
def large(size: int) -> str:
    """So many characters."""
    return "x" * size


@server.tool()
async def learn(context: Context) -> str:
    """Adds a tool."""

    def learned() -> str:
        """What was learned."""
        return "learned"

    name = f"learned_{len(await server.list_tools())}"
    server.add_tool(learned, name=name)
    # The one for those who subscribed (2026), the other for those of before.
    await context.notify_tools_changed()
    await context.session.send_tool_list_changed()
    return name


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "remember the milk"


@server.prompt()
def greet(name: str) -> str:
    """A greeting."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run()
