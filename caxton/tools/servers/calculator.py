"""Arithmetic: `python -m caxton.tools.servers.calculator`."""

from importlib.metadata import version

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from caxton.tools.servers.arithmetic import ArithmeticFault, evaluate, written


def make_server() -> MCPServer:
    server: MCPServer = MCPServer("calculator", version=version("caxton"), log_level="WARNING")

    @server.tool()
    def calculate(expression: str) -> str:
        """The value of an arithmetic expression: + - * / // % ^, parentheses, sqrt, sin, log, factorial and others.

        Exact for fractions; a result that begins with ≈ is rounded. Example: (1 + 2/3) * sqrt(16)
        """
        try:
            return written(evaluate(expression))
        except ArithmeticFault as fault:
            raise ToolError(str(fault)) from fault

    return server


if __name__ == "__main__":
    make_server().run()
