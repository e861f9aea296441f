"""The configured tool servers, each made when it is first needed, one for all agents or one for each."""

import asyncio
import difflib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import ComponentHealth
from caxton.domain.ports.tools import HostContext, HostKind, ToolHost
from caxton.domain.tool_settings import McpServerSettings, Sharing, Starting

_Key = tuple[str, str | None]
"""A server's name, and the agent that has it for itself."""


class Hosts:
    """The servers by name. Whoever makes this closes it."""

    def __init__(
        self, settings: Mapping[str, McpServerSettings], context: HostContext, kind_of: Callable[[str], HostKind]
    ) -> None:
        self._context = context
        self._kind_of = kind_of
        self._settings: Mapping[str, McpServerSettings] = {}
        self._hosts: dict[_Key, ToolHost] = {}
        self._take(settings)

    def names(self) -> list[str]:
        return [name for name, settings in self._settings.items() if not settings.disabled]

    def settings(self) -> list[McpServerSettings]:
        """All that are configured, those switched off included."""
        return list(self._settings.values())

    def get(self, server: str, agent: str | None) -> ToolHost:
        """The host of a server, as `agent` uses it; CaxtonError `tool_server_unknown`."""
        settings = self._settings.get(server)
        if settings is None or settings.disabled:
            raise self._unknown(server, settings)
        key = server, agent if settings.sharing is Sharing.AGENT else None
        host = self._hosts.get(key)
        if host is None:
            context = msgspec.structs.replace(self._context, agent=key[1])
            host = self._hosts[key] = self._kind_of(settings.kind)(settings, context)
        return host

    def running(self, server: str | None = None) -> list[tuple[str, ToolHost]]:
        """The hosts made so far, of one server or of all, with their servers' names."""
        return [(name, host) for (name, _), host in self._hosts.items() if server in (None, name)]

    def health(self) -> list[ComponentHealth]:
        return [host.health() for host in self._hosts.values()]

    async def replace(self, settings: Mapping[str, McpServerSettings]) -> None:
        """Have other servers from now on. Those whose settings stay run on; the others are ended."""
        before = self._settings
        gone = [key for key in self._hosts if settings.get(key[0]) != before.get(key[0])]
        await _close(self._hosts.pop(key) for key in gone)
        self._take(settings)

    async def release(self, agent: str) -> None:
        """End what an agent had for itself."""
        await _close(self._hosts.pop(key) for key in [key for key in self._hosts if key[1] == agent])

    async def aclose(self) -> None:
        hosts, self._hosts, self._settings = self._hosts, {}, {}
        await _close(hosts.values())

    def _take(self, settings: Mapping[str, McpServerSettings]) -> None:
        self._settings = dict(settings)
        for name, one in settings.items():
            if one.start is Starting.EAGER and one.sharing is Sharing.SHARED and not one.disabled:
                self.get(name, None).start()

    def _unknown(self, server: str, settings: McpServerSettings | None) -> CaxtonError:
        if settings is not None:
            return CaxtonError(
                Code.TOOL_SERVER_UNKNOWN,
                f"The tool server {server!r} is switched off.",
                hint=f"Take `disabled` out of [mcp_servers.{server}].",
            )
        nearest = difflib.get_close_matches(server, self.names(), n=1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else ""
        return CaxtonError(Code.TOOL_SERVER_UNKNOWN, f"There is no tool server {server!r}.", hint=hint)


async def _close(hosts: Iterable[ToolHost]) -> None:
    await asyncio.gather(*(host.aclose() for host in list(hosts)))
