"""`caxton capability`."""

import pytest

from caxton.cli.capability import speed


@pytest.fixture
def skill(agent) -> str:
    """A capability that no other test speaks of."""
    return f"skill-{agent}"


@pytest.fixture
def painter(caxton, agent, skill, tmp_path) -> str:
    """The agent of this test, which offers the skill in version 2."""
    define(
        caxton,
        tmp_path,
        agent,
        f'''
        capabilities = ["{skill}:v2"]
        [capability_details."{skill}:v2"]
        description = "Draws things."
        input = {{ type = "object", required = ["rows"] }}
        output = {{ type = "object" }}
    ''',
    )
    return agent


def define(caxton, folder, name: str, more: str) -> None:
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\nsystem_prompt = "You draw."\n{more}')
    caxton("create", "--config", str(path), "--replace")


def line_of(text: str, word: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(word))


def test_what_agents_offer_is_listed(caxton, painter, skill):
    listed = caxton.out("capability", "list")
    assert listed.splitlines()[0].split() == ["CAPABILITY", "AGENTS", "RUNNING", "REQUIRED", "BY", "DESCRIPTION"]
    assert line_of(listed, skill) == [f"{skill}:v2", painter, "1", "Draws", "things."]


def test_a_capability_is_shown_with_who_can_do_it(caxton, painter, skill):
    shown = caxton.out("capability", "show", skill)
    assert line_of(shown, painter) == [painter, f"{skill}:v2", "running", "0", "of", "1000", "unknown"]
    assert "description  Draws things." in shown
    assert 'input        {"type": "object", "required": ["rows"]}' in shown
    assert 'output       {"type": "object"}' in shown


def test_programs_get_json(caxton, painter, skill):
    entries = {one["name"]: one for one in caxton.json("capability", "list")["capabilities"]}
    assert entries[f"{skill}:v2"]["agents"] == [painter]
    (provider,) = caxton.json("capability", "show", f"{skill}:v2")["providers"]
    assert (provider["agent"], provider["seconds"], provider["output"]) == (painter, None, {"type": "object"})


def test_an_unknown_one_is_answered_with_the_nearest(caxton, painter, skill):
    error = caxton.err("capability", "show", f"{skill}:v3", fails=1)
    assert f"No agent can do '{skill}:v3'" in error
    assert f"Did you mean '{skill}:v2'?" in error


def test_what_is_required_and_missing_shows_everywhere(caxton, agent, skill, tmp_path):
    define(caxton, tmp_path, agent, f'requires = ["{skill}"]\n')
    assert line_of(caxton.out("capability", "list"), skill) == [skill, "nobody", "0", agent]
    assert caxton.out("capability", "show", skill) == f"No agent can do '{skill}', which {agent} requires.\n"
    result = caxton("agent", "show", agent)
    assert f"no other running agent can do '{skill}'" in result.output
    (warning,) = caxton.json("agent", "show", agent)["warnings"]
    assert (warning["code"], warning["line"], warning["column"]) == ("capability_missing", 3, 13)


def test_how_long_an_agent_took_is_shown_once_it_is_known(caxton, agent, skill, tmp_path):
    define(caxton, tmp_path, agent, f'capabilities = ["{skill}"]\n')
    assert line_of(caxton.out("capability", "show", skill), agent)[-1] == "unknown"
    caxton("message", "send", f"capability:{skill}", "Hello")
    assert line_of(caxton.out("capability", "show", skill), agent)[-1] in ("ms", "s")


@pytest.mark.parametrize(("seconds", "shown"), [(None, "unknown"), (0.0421, "42 ms"), (1.26, "1.3 s"), (61, "61.0 s")])
def test_a_time_is_shown_in_the_unit_that_fits(seconds, shown):
    assert speed(seconds) == shown


def test_capabilities_are_offered_by_name(complete, painter, skill):
    assert complete("capability", "show", skill[:-1]) == [f"{skill}:v2"]
