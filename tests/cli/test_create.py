"""`caxton create`."""

import tomllib
from pathlib import Path

import pytest

from caxton.config.templates import list_templates

FILE = 'name = "{name}"\nsystem_prompt = "You echo."\n'


@pytest.fixture
def name(request, caxton):
    """The name of an agent that is not there yet, and is gone again after the test."""
    name = f"c{abs(hash(request.node.nodeid)):x}"
    yield name
    caxton("agent", "delete", name, "--yes", "--purge")


@pytest.fixture
def file(name, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(FILE.format(name=name))
    return file


def test_a_file_becomes_an_agent_that_runs(caxton, name, file):
    said = caxton.out("create", "--config", str(file))
    assert f"Agent {name} is running, on provider scripted." in said
    assert f"Next: caxton chat {name}" in said
    kept = caxton.json("agent", "show", name)["file"]
    assert kept in said
    assert Path(kept).read_text() == file.read_text()


def test_programs_get_the_agent(caxton, name, file):
    told = caxton.json("create", "--config", str(file))
    assert (told["name"], told["state"]) == (name, "running")


def test_a_template_becomes_an_agent_of_that_name(caxton, name):
    caxton("create", name, "--template", "translator")
    definition = caxton.json("agent", "show", name)["definition"]
    (translator,) = [t for t in list_templates() if t.name == "translator"]
    assert definition["name"] == name
    assert definition["system_prompt"] == tomllib.loads(translator.toml)["system_prompt"]


def test_an_agent_that_is_there_is_replaced_only_for_who_says_so(caxton, name, file):
    before = caxton.json("create", "--config", str(file))
    file.write_text(file.read_text().replace("You echo.", "You sing."))
    assert "--replace" in caxton.err("create", "--config", str(file), fails=1)
    assert caxton.json("agent", "show", name)["definition"]["system_prompt"] == "You echo."
    after = caxton.json("create", "--config", str(file), "--replace")
    assert after["definition"]["system_prompt"] == "You sing."
    assert after["id"] == before["id"]


def test_errors_of_a_file_are_told_of_the_file_as_the_person_named_it(apart, tmp_path):
    (tmp_path / "bad.toml").write_text('name = "x"\nsystem_promt = "You echo."\n')
    said = apart.err("create", "--config", "bad.toml", fails=1)
    assert "bad.toml:1:8: error[invalid_value]" in said
    assert "bad.toml:2:1: error[unknown_key]" in said
    assert "Did you mean 'system_prompt'?" in said


def test_a_file_that_is_not_there_is_told(apart):
    assert "missing.toml" in apart.err("create", "--config", "missing.toml", fails=1)


def test_a_provider_that_the_server_has_not_is_the_servers_to_tell(caxton, tmp_path):
    (tmp_path / "x.toml").write_text('name = "with-other"\nsystem_prompt = "x"\nllm_provider = "other"\n')
    assert "'other'" in caxton.err("create", "--config", "x.toml", fails=1)


def test_warnings_are_shown_and_do_not_hinder(caxton, name, file):
    file.write_text(file.read_text() + 'user_prompt_template = "Hello"\n')
    result = caxton("create", "--config", str(file))
    assert "is running" in result.stdout
    assert "warning[invalid_value]" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "a.toml", "--template", "writer"], "either --config or --template"),
        (["--template", "writer"], "needs a NAME"),
        ([], "on a terminal only"),
    ],
)
def test_wrong_usage_is_told_with_what_is_right(apart, arguments, words):
    assert words in apart.err("create", *arguments, fails=2)


def test_a_name_other_than_the_files_is_wrong_usage(apart, tmp_path):
    (tmp_path / "mine.toml").write_text(FILE.format(name="mine"))
    assert "'mine', not 'yours'" in apart.err("create", "yours", "--config", "mine.toml", fails=2)


def test_a_template_that_is_not_there_is_an_error_with_the_nearest(apart):
    assert "Did you mean 'assistant'?" in apart.err("create", "x", "--template", "asistant", fails=1)


@pytest.mark.usefixtures("person")
def test_a_person_is_asked_for_all_that_an_agent_needs(caxton, name):
    answers = [name, "0", 'Says "hello"', "You greet.", "scripted"]
    said = caxton.out("create", stdin="\n".join(answers) + "\n")
    assert f"Agent {name} is running" in said
    assert tomllib.loads(Path(caxton.json("agent", "show", name)["file"]).read_text()) == {
        "name": name,
        "description": 'Says "hello"',
        "system_prompt": "You greet.",
        "llm_provider": "scripted",
    }


@pytest.mark.usefixtures("person")
def test_what_a_person_leaves_empty_is_the_default(caxton, name):
    caxton("create", name, stdin="\n\nYou greet.\n\n")
    file = Path(caxton.json("agent", "show", name)["file"])
    assert tomllib.loads(file.read_text()) == {"name": name, "system_prompt": "You greet."}


@pytest.mark.usefixtures("person")
def test_a_person_may_begin_with_a_template(caxton, name):
    templates = [template.name for template in list_templates()]
    said = caxton.out("create", stdin=f"{name}\n{templates.index('writer') + 1}\n")
    assert all(template in said for template in templates)
    assert "Turns notes" in caxton.json("agent", "show", name)["definition"]["description"]


@pytest.mark.usefixtures("person")
def test_a_name_that_is_none_is_asked_for_again(caxton, name):
    said = caxton.out("create", stdin=f"My Agent\n{name}\n0\n\nYou greet.\n\n")
    assert "'My Agent' is not 3 to 64 lower-case letters" in said
    assert f"Agent {name} is running" in said


@pytest.mark.usefixtures("person")
def test_a_name_that_is_none_is_refused_before_any_question(caxton):
    assert "'My Agent' is not" in caxton.err("create", "My Agent", fails=2)


@pytest.mark.usefixtures("person")
def test_no_question_is_asked_for_nothing(apart):
    assert "No Caxton server answers" in apart.err("create", "somebody", fails=3)


@pytest.mark.usefixtures("person")
def test_who_gives_up_has_created_nothing(caxton):
    caxton("create", "given-up", stdin="0\n", fails=130)
    assert "There is no agent" in caxton.err("agent", "show", "given-up", fails=1)
