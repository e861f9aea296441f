"""What agents can do for each other: listed, shown, and what they miss."""

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.health import HealthStatus
from caxton.service.api.capabilities import CapabilityEntry

TITLE = 'capability_details."charts:v2" = {description = "Draws.", input = {type = "object"}, output = {}}\n'


async def agent(house, name: str, *, can: str = "[]", needs: str = "[]", more: str = "") -> None:
    """Write the file of an agent and take it in."""
    path = house.file(name, more=f"capabilities = {can}\nrequires = {needs}\n{more}")
    await house.definitions.follow(path)


async def names(house) -> list[str]:
    return [one.name for one in (await house.capabilities.list()).capabilities]


class TestList:
    async def test_what_is_offered_and_required_is_listed_by_name_and_version(self, running):
        await agent(running, "painter", can='["charts:v10", "charts:v2", "maps"]', more=TITLE)
        await agent(running, "drawer", can='["charts:v2"]')
        await agent(running, "writer", needs='["charts", "maps", "films"]')
        assert (await running.capabilities.list()).capabilities == [
            CapabilityEntry(
                name="charts:v2",
                description="Draws.",
                agents=["drawer", "painter"],
                running=2,
                required_by=["writer"],
            ),
            CapabilityEntry(name="charts:v10", description="", agents=["painter"], running=1, required_by=["writer"]),
            CapabilityEntry(name="films", description="", agents=[], running=0, required_by=["writer"]),
            CapabilityEntry(name="maps", description="", agents=["painter"], running=1, required_by=["writer"]),
        ]

    async def test_it_follows_agents_as_they_come_change_stop_and_go(self, running):
        assert await names(running) == []
        await agent(running, "painter", can='["charts"]')
        assert await names(running) == ["charts"]
        await agent(running, "painter", can='["maps"]')
        assert await names(running) == ["maps"]
        await running.agents.stop(name="painter")
        (maps,) = (await running.capabilities.list()).capabilities
        assert (maps.agents, maps.running) == (["painter"], 0)
        await running.agents.delete(name="painter")
        assert await names(running) == []


class TestShow:
    async def test_every_agent_is_shown_with_its_schemas_load_and_speed(self, running):
        await agent(running, "painter", can='["charts:v1", "charts:v2"]', more=TITLE)
        await agent(running, "drawer", can='["charts:v10"]')
        await agent(running, "writer", needs='["charts:v2"]')
        await running.agents.stop(name="drawer")
        running.bus.directory.measured("painter", 0.5)
        view = await running.capabilities.show(name="charts")
        assert [(one.agent, one.capability, one.state) for one in view.providers] == [
            ("drawer", "charts:v10", "stopped"),
            ("painter", "charts:v1", "running"),
            ("painter", "charts:v2", "running"),
        ]
        assert view.required_by == ["writer"]
        drawn = view.providers[-1]
        assert (drawn.description, drawn.input, drawn.output) == ("Draws.", {"type": "object"}, {})
        assert (drawn.waiting, drawn.limit, drawn.seconds) == (0, 1000, 0.5)
        assert view.providers[0].seconds is None

    async def test_a_version_shows_that_one_alone(self, running):
        await agent(running, "painter", can='["charts:v1", "charts:v2"]')
        view = await running.capabilities.show(name="charts:v2")
        assert [one.capability for one in view.providers] == ["charts:v2"]

    async def test_what_is_only_required_is_shown_with_who_requires_it(self, running):
        await agent(running, "writer", needs='["charts:v2"]')
        view = await running.capabilities.show(name="charts")
        assert (view.providers, view.required_by) == ([], ["writer"])

    async def test_an_unknown_one_is_answered_with_the_nearest(self, running):
        await agent(running, "painter", can='["charts:v2"]')
        with pytest.raises(CaxtonError, match="No agent can do 'chart', nor requires it") as told:
            await running.capabilities.show(name="chart")
        assert told.value.code is Code.CAPABILITY_NOT_FOUND
        assert told.value.hint == "Did you mean 'charts'?"
        assert "caxton capability list" in (await told_of(running, "sculpture")).hint

    async def test_whoever_is_served_on_the_bus_without_a_file_is_shown_too(self, running):
        async with running.bus.serve("by-hand", lambda message: None, capabilities=await offers_of(running)):
            view = await running.capabilities.show(name="charts")
            assert [(one.agent, one.state) for one in view.providers] == [("by-hand", "running")]


async def told_of(house, name: str) -> CaxtonError:
    with pytest.raises(CaxtonError) as told:
        await house.capabilities.show(name=name)
    return told.value


async def offers_of(house):
    """The capability `charts`, of an agent that has gone."""
    await agent(house, "painter", can='["charts"]')
    offers = house.bus.directory.capabilities("painter")
    await house.agents.delete(name="painter")
    return offers


class TestRequirements:
    async def test_an_agent_is_warned_of_what_nobody_else_can_do_at_its_place(self, running):
        await agent(running, "writer", can='["films"]', needs='["charts:v2", "maps", "films"]')
        await agent(running, "painter", can='["charts:v1", "maps"]')
        charts, films = (await running.agents.show(name="writer")).warnings
        assert (charts.code, charts.is_error, charts.key) == ("capability_missing", False, "requires.0")
        assert charts.message == "no other running agent can do 'charts:v2'"
        assert (charts.line, charts.column, charts.source) == (4, 13, 'requires = ["charts:v2", "maps", "films"]')
        assert charts.hint == "Did you mean 'charts:v1'?"
        assert films.message == "no other running agent can do 'films'"

    async def test_the_warning_goes_and_comes_with_those_who_can_do_it(self, running):
        await agent(running, "writer", needs='["charts"]')
        assert await warned(running) == ["requires.0"]
        assert running.requirements.health().status is HealthStatus.DEGRADED
        assert running.requirements.health().detail == "No running agent can do 'charts', which 'writer' requires."
        await agent(running, "painter", can='["charts:v2"]')
        assert await warned(running) == []
        assert running.requirements.health().status is HealthStatus.OK
        await running.agents.stop(name="painter")
        assert await warned(running) == ["requires.0"]
        await running.agents.start(name="painter")
        assert await warned(running) == []
        await running.agents.delete(name="painter")
        assert await warned(running) == ["requires.0"]

    async def test_what_a_stopped_agent_requires_degrades_nothing(self, running):
        await agent(running, "writer", needs='["charts"]')
        await running.agents.stop(name="writer")
        assert running.requirements.health().status is HealthStatus.OK

    async def test_the_health_names_a_few_and_counts_the_rest(self, running):
        needs = [f"skill-{number}" for number in range(8)]
        await agent(running, "writer", needs=str(needs))
        detail = running.requirements.health().detail
        assert "'skill-4', which 'writer' requires, and 3 more." in detail


async def warned(house) -> list[str]:
    return [warning.key for warning in (await house.agents.show(name="writer")).warnings]
