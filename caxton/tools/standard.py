"""The servers that come with Caxton, and how they are run."""

import sys
from collections.abc import Sequence

import msgspec

from caxton.domain.ports.tools import HostContext, ToolHost
from caxton.domain.tool_settings import McpServerSettings
from caxton.tools.host import stdio_host

STANDARD = ("calculator", "files", "http", "time")


def standard_command(name: str, args: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The command and the arguments that run a standard server: for `McpServerSettings`.

    In isolated mode: else Python would look for its modules in the current directory first, where a tool may write.
    """
    return sys.executable, ("-I", "-m", f"caxton.tools.servers.{name}", *args)


def standard_host(settings: McpServerSettings, context: HostContext) -> ToolHost:
    """The host of the standard server that `options` names; its arguments are those of the settings."""
    command, args = standard_command(str(settings.options["server"]), settings.args)
    return stdio_host(msgspec.structs.replace(settings, command=command, args=args), context)
