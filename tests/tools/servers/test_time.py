"""The `time` server."""

import re
from datetime import UTC, datetime, timedelta

import pytest


async def test_the_time_now_is_given_in_any_zone(server):
    ask = server("time")
    for zone, offset in [("UTC", "+00:00"), ("Asia/Tokyo", "+09:00")]:
        text = (await ask("current_time", timezone=zone)).text()
        moment, day = re.fullmatch(r"(\S+) \((\w+)\)", text).groups()
        assert moment.endswith(offset)
        assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=1)
        assert day == f"{datetime.fromisoformat(moment):%A}"


async def test_times_are_converted_added_and_compared(server):
    ask = server("time")
    converted = await ask("convert_time", time="2026-07-01T12:00", to_timezone="America/New_York")
    assert converted.text() == "2026-07-01T08:00:00-04:00 (Wednesday)"
    local = await ask("convert_time", time="2026-01-01T00:00", from_timezone="Europe/Berlin", to_timezone="UTC")
    assert local.text() == "2025-12-31T23:00:00+00:00 (Wednesday)"
    later = await ask("add_time", time="2024-02-28T23:00:00Z", hours=2, days=1)
    assert later.text() == "2024-03-01T01:00:00+00:00 (Friday)"
    span = await ask("time_between", start="2026-01-01", end="2026-01-03T01:00:30")
    assert span.text() == "2 days 1 hours 0 minutes 30 seconds (176430 s)"


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("current_time", {"timezone": "Mars/Olympus"}),
        ("current_time", {"timezone": "../../etc/passwd"}),
        ("current_time", {"timezone": "/etc/localtime"}),
        ("current_time", {"timezone": ""}),
        ("convert_time", {"time": "noon", "to_timezone": "UTC"}),
        ("add_time", {"time": "2026-01-01", "days": 1e12}),
        ("add_time", {"time": "9999-12-31", "days": 2}),
    ],
)
async def test_what_is_no_time_or_zone_is_explained(server, tool, given):
    result = await server("time")(tool, **given)
    assert result.failed
    assert "Error executing tool" not in result.text().removeprefix(f"Error executing tool {tool}: ")
    assert len(result.text()) > 30
