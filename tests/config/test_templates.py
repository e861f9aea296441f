"""The template library."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from caxton.config.agent_file import diagnose, load_definition
from caxton.config.templates import find_template, instantiate, list_templates
from caxton.domain.agent import Source
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.template import AgentTemplate

TEMPLATES = list_templates()


def test_there_is_a_choice_of_templates_in_order_each_described_and_tagged():
    names = [template.name for template in TEMPLATES]
    assert len(names) >= 8
    assert names == sorted(names)
    assert all(template.description and template.tags for template in TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_template_becomes_an_agent_of_any_name_and_nothing_else_changes(template):
    text = instantiate(template, "my-agent")
    loaded = load_definition(Source(path="my-agent.toml", text=text), providers=["local", "openai"])
    assert loaded.warnings == ()
    assert loaded.definition.name == "my-agent"
    assert text.replace('"my-agent"', f'"{template.name}"', 1) == template.toml


def test_a_template_is_found_by_its_name():
    assert find_template("assistant") == next(one for one in TEMPLATES if one.name == "assistant")


@pytest.mark.parametrize(
    ("name", "hint"), [("asistant", "Did you mean 'assistant'?"), ("zzz", "There are: assistant,")]
)
def test_a_template_that_is_not_there_names_the_nearest(name, hint):
    with pytest.raises(CaxtonError) as failure:
        find_template(name)
    assert failure.value.code is Code.TEMPLATE_NOT_FOUND
    assert repr(name) in failure.value.message
    assert hint in failure.value.hint


ODD = """# name = "not this one"
[llm]
model = "name"
""".replace(
    "[llm]", "description = 'a name'\nname = 'odd'   # the name\nsystem_prompt = \"\"\"\nname = 'x'\n\"\"\"\n[llm]"
)


def test_only_the_agents_own_name_is_replaced():
    template = AgentTemplate(name="odd", description="", tags=(), toml=ODD)
    assert instantiate(template, "new") == ODD.replace("name = 'odd'", 'name = "new"')


@given(st.text(st.characters(codec="utf-8")))
def test_whatever_the_name_is_the_text_stays_toml_that_holds_it(name):
    template = AgentTemplate(name="odd", description="", tags=(), toml=ODD)
    text = instantiate(template, name)
    assert tomli.loads(text) == {**tomli.loads(ODD), "name": name}
    assert all(one.key == "name" for one in diagnose(Source(path="a.toml", text=text), providers=[]))
