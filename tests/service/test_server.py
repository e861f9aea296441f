import os

import pytest

from caxton.domain.health import ComponentHealth, HealthStatus


async def test_health_tells_version_and_age(running):
    await running.clock.advance(90)
    health = await running.server.health()
    assert (health.status, health.version, health.uptime) == ("ok", "1.2.3", 90)


@pytest.mark.parametrize(
    ("status", "required", "ready"),
    [
        (HealthStatus.OK, True, True),
        (HealthStatus.IDLE, True, True),
        (HealthStatus.DEGRADED, True, True),
        (HealthStatus.LOADING, True, False),
        (HealthStatus.FAILED, True, False),
        (HealthStatus.FAILED, False, True),
        (HealthStatus.LOADING, False, True),
    ],
)
async def test_a_server_is_ready_unless_a_required_part_is_not(running, status, required, ready):
    part = ComponentHealth(name="database", status=status, required=required)
    running.checks.append(lambda: part)
    readiness = await running.server.ready()
    assert readiness.ready is ready
    assert readiness.components == [part]


async def test_providers_in_use_are_among_the_parts(running):
    running.providers.parts.append(ComponentHealth(name="local", status=HealthStatus.LOADING, required=True))
    assert not (await running.server.ready()).ready


async def test_info_tells_which_server_this_is(running):
    info = await running.server.info()
    assert (info.version, info.pid, info.agents) == ("1.2.3", os.getpid(), 1)
    assert (info.default_provider, info.providers) == ("echo", ["echo", "other"])
    assert info.agents_dir == str(running.directory)
