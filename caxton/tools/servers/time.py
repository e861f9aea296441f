"""The time, here and elsewhere: `python -m caxton.tools.servers.time`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def make_server(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> MCPServer:
    """The server. `now` gives the present with its time zone."""
    server: MCPServer = MCPServer("time", version=version("caxton"), log_level="WARNING")

    @server.tool()
    def current_time(timezone: str = "UTC") -> str:
        """The date and time now, in ISO 8601, with the day of the week. `timezone` is an IANA name: Europe/Berlin."""
        return _written(now().astimezone(_zone(timezone)))

    @server.tool()
    def convert_time(time: str, to_timezone: str, from_timezone: str = "UTC") -> str:
        """A time in another time zone. `time` is ISO 8601; `from_timezone` counts where it has no offset itself."""
        return _written(_moment(time, from_timezone).astimezone(_zone(to_timezone)))

    @server.tool()
    def add_time(time: str, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> str:
        """A time so much later, or earlier for negative numbers. `time` is ISO 8601, in UTC unless it has an offset."""
        try:
            return _written(_moment(time) + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
        except (OverflowError, ValueError) as error:
            raise ToolError(f"That is out of the calendar's range: {error}.") from error

    @server.tool()
    def time_between(start: str, end: str) -> str:
        """How long it is from start to end, both ISO 8601: days, hours, minutes, seconds; and the seconds in all."""
        span = _moment(end) - _moment(start)
        seconds = abs(span).total_seconds()
        days, rest = divmod(seconds, 86_400)
        hours, rest = divmod(rest, 3_600)
        minutes, rest = divmod(rest, 60)
        sign = "-" if span < timedelta(0) else ""
        return f"{sign}{days:.0f} days {hours:.0f} hours {minutes:.0f} minutes {rest:g} seconds ({sign}{seconds:g} s)"

    return server


def _moment(text: str, timezone: str = "UTC") -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ToolError(f"{text!r} is no time. Write it as 2026-03-01T14:30:00 or 2026-03-01T14:30:00+01:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=_zone(timezone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    # Names of folders, of files that hold no zone, and with characters that no file can have.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"There is no time zone {name!r}. Use an IANA name such as Europe/Berlin or UTC.") from None


def _written(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')} ({moment:%A})"


if __name__ == "__main__":
    make_server().run()
