"""What no single value of an agent file can tell: its template, its provider, and what has no effect yet."""

import pytest
from support.marked import assert_told, read_marked

from caxton.config.agent_file import diagnose, load_definition
from caxton.domain.agent import Source
from caxton.domain.capability import Capability, CapabilityName
from caxton.domain.completion import ModelInfo
from caxton.domain.errors import ConfigurationError

HEAD = 'name = "helper"\nsystem_prompt = "You help."\n'
TEMPLATES = {
    "a placeholder that nothing fills": HEAD
    + 'user_prompt_template = "{{request}} {{ zzz }}"\n'
    + "                                    ^^^^^^^^^ unknown_placeholder: Add it to [parameters].\n",
    "a misspelt placeholder": HEAD
    + 'user_prompt_template = "{{request}} {{reqest}}"\n'
    + "                                    ^^^^^^^^^^ unknown_placeholder: Did you mean 'request'?\n",
    "a misspelt parameter": HEAD
    + 'user_prompt_template = "{{request}} in {{langauge}}"\n'
    + "                                       ^^^^^^^^^^^^ unknown_placeholder: Did you mean 'language'?\n"
    + '[parameters]\nlanguage = "German"\n',
    "placeholders of a template of several lines": HEAD
    + 'user_prompt_template = """\nÜber {{request}}\n  {{one}} {{two}} {{one}}\n'
    + "  ^^^^^^^ unknown_placeholder: '{{one}}'\n          ^^^^^^^ unknown_placeholder: '{{two}}'\n"
    + '"""\n',
    "no request": HEAD
    + 'user_prompt_template = "Hello."\n^^^^^^^^^^^^^^^^^^^^ invalid_value: never shown what the agent is asked\n',
    "a request in single braces": HEAD
    + "user_prompt_template = 'Q: {request}'\n^^^^^^^^^^^^^^^^^^^^ invalid_value: two braces on each side\n",
    "what looks like a placeholder": HEAD
    + "user_prompt_template = '{{request}} {{user-name}} {{}} {{user-name}}'\n"
    + "                                    ^^^^^^^^^^^^^ invalid_value: is no placeholder and stays as it is\n"
    + "                                                  ^^^^ invalid_value: letters, digits and underscores\n",
    "a parameter with a name of the server's": HEAD
    + "[parameters]\ntimestamp = 'now'\n^^^^^^^^^ invalid_value: filled by the server itself\n",
    "parameters that cannot be placeholders": HEAD
    + '[parameters]\n"two words" = 1\n^^^^^^^^^^^ invalid_value: cannot be a placeholder\n'
    + "1st = 1\n^^^ invalid_value: no digit at the front\n",
    "parameters of other types": HEAD
    + "[parameters]\nday = 2026-01-02\n      ^^^^^^^^^^ invalid_value: text, a number, true or false, not 2026-01-02\n"
    + "all = [1]\n      ^^^ invalid_value: not [1]\n",
    "several providers": HEAD
    + "llm_provider = ['local', 'opnai']\n                         ^^^^^^^ unknown_provider: configured are: local\n",
    "parameters that are no table": HEAD
    + "user_prompt_template = '{{request}} {{x}}'\nparameters = 'x'\n             ^^^ wrong_type: a table\n",
    "a template that is no text": HEAD
    + "user_prompt_template = 5\n                       ^ wrong_type: text in quotes\n",
}
IDLE = {
    "memory of tools": HEAD + "[resources]\nmemory = '1GB'\n^^^^^^ no_effect_yet\n",
}


@pytest.mark.parametrize("marked", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_what_is_wrong_in_a_template_is_shown_at_its_place(marked):
    text, marks = read_marked(marked)
    assert_told(diagnose(Source(path="a.toml", text=text), providers=["local"]), marks)


PAINTER = HEAD + "capabilities = ['charts:v2', 'maps']\n"
DETAILS = {
    "details of what it does not offer": PAINTER
    + "[capability_details.films]\n                    ^^^^^ invalid_value: 'films' is not one of the agent's 'cap\n",
    "details of another version": PAINTER
    + "[capability_details.'charts:v1']\n                    ^^^^^^^^^^^ invalid_value: Did you mean 'charts:v2'?\n",
    "details of an agent that offers nothing": HEAD
    + "[capability_details.maps]\n                    ^^^^ invalid_value: Add it there, before any [table].\n",
    "an unknown key of details": PAINTER
    + "[capability_details.maps]\ndescripton = 'x'\n^^^^^^^^^^ unknown_key: Did you mean 'description'?\n",
    "details that are text": PAINTER
    + "capability_details.maps = 'x'\n                          ^^^ wrong_type: has to be a table\n",
    "details that are no table at all": PAINTER
    + "capability_details = 5\n                     ^ wrong_type: a table\n",
    "details of capabilities that are no list": HEAD
    + "capabilities = 'maps'\n               ^^^^^^ wrong_type: Put it in brackets\n[capability_details.maps]\n",
    "a schema that is none": PAINTER
    + "[capability_details.maps.input]\ntype = 'objekt'\n       ^^^^^^^^ invalid_value: is no JSON schema\n",
    "a schema that is text": PAINTER
    + "[capability_details.maps]\noutput = 'text'\n         ^^^^^^ wrong_type: has to be a table\n",
    "a schema with a pattern that is none": PAINTER
    + "[capability_details.maps.output]\npattern = '['\n          ^^^ invalid_value: is not a \"regex\"\n",
    "a reference out of the schema": PAINTER
    + "[capability_details.maps]\n"
    + "input = {items = {'$ref' = 'http://x/y'}}\n"
    + "                           ^^^^^^^^^^^^ invalid_value: nothing is fetched\n",
    "a reference to nothing": PAINTER
    + "[capability_details.maps]\ninput = {anyOf = [{}, {'$ref' = '#/$defs/row'}]}\n"
    + "                                ^^^^^^^^^^^^^ invalid_value: '/$defs/row' does not exist\n",
}


@pytest.mark.parametrize("marked", DETAILS.values(), ids=DETAILS.keys())
def test_what_is_wrong_in_the_details_of_a_capability_is_shown_at_its_place(marked):
    text, marks = read_marked(marked)
    assert_told(diagnose(Source(path="a.toml", text=text), providers=["local"]), marks)


def test_details_of_capabilities_reach_the_definition():
    rows = "{type = 'object', properties = {rows = {'$ref' = '#/$defs/rows'}}, '$defs' = {rows = {type = 'array'}}}"
    text = f"{PAINTER}[capability_details.'charts:v2']\ndescription = 'Draws.'\ninput = {rows}\n"
    definition = load_definition(Source(path="a.toml", text=text), providers=["local"]).definition
    charts, maps = definition.offers
    assert (str(charts.name), charts.name.version, charts.description) == ("charts:v2", 2, "Draws.")
    assert charts.input["$defs"] == {"rows": {"type": "array"}}
    assert charts.output is None
    assert maps == Capability(name=CapabilityName("maps"))


def test_a_model_that_cannot_answer_in_a_schema_cannot_have_one_in_its_capabilities():
    text = f"{PAINTER}[capability_details.maps]\noutput = {{}}\n"
    source = Source(path="a.toml", text=text)
    with pytest.raises(ConfigurationError, match=r"'capability_details\.maps\.output' needs"):
        load_definition(
            source, providers=["local"], describe=lambda provider, model: ModelInfo(name="small", json_schema=False)
        )


@pytest.mark.parametrize("marked", IDLE.values(), ids=IDLE.keys())
def test_what_has_no_effect_yet_is_a_warning_and_no_error(marked):
    text, marks = read_marked(marked)
    loaded = load_definition(Source(path="a.toml", text=text), providers=["local"])
    assert_told(list(loaded.warnings), marks)


@pytest.mark.parametrize(
    "text", ["tools = []", "requires = []", "memory = {enabled = false}", "conversation = {strategy = 'sliding'}"]
)
def test_the_defaults_written_out_warn_of_nothing(text):
    assert diagnose(Source(path="a.toml", text=HEAD + text), providers=["local"]) == []


@pytest.mark.parametrize("template", ["Hello.", "{request}", "{{request}} {{user-name}}"])
def test_a_template_that_may_be_meant_so_is_warned_of_and_taken(template):
    text = f'{HEAD}user_prompt_template = "{template}"\n'
    loaded = load_definition(Source(path="a.toml", text=text), providers=["local"])
    assert loaded.definition.user_prompt_template == template
    assert len(loaded.warnings) == 1


def test_a_placeholder_with_inner_spaces_and_one_without_are_the_same():
    template = "{{ request }} {{request}} {{language}} {{  language  }} {not one} {} }} {{"
    text = f'{HEAD}user_prompt_template = "{template}"\nparameters.language = "German"\n'
    assert diagnose(Source(path="a.toml", text=text), providers=["local"]) == []
