"""What is known of agents, before there are any and then."""

from caxton.runtime.roster import Roster


def test_without_a_supervisor_nobody_is_known():
    roster = Roster()
    assert roster.definition("helper") is None
    assert roster.description("helper") == ""
    assert roster.patience("helper") == 60.0
    assert (roster.contacts(), roster.at_rest()) == ([], set())


async def test_agents_are_known_as_they_are_now(running):
    roster = Roster()
    roster.supervisor = running.supervisor
    await running.supervisor.apply(running.a_definition("painter", description="Paints.", capabilities=("charts:v2",)))
    assert roster.definition("painter").name == "painter"
    assert roster.description("painter") == "Paints."
    assert [str(one.name) for contact in roster.contacts() for one in contact.capabilities] == ["charts:v2"]
    await running.supervisor.stop("painter")
    assert {contact.name for contact in roster.contacts()} == {"helper"}
    assert roster.at_rest() == {"painter"}
