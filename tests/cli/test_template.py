"""`caxton template`: without a server."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_list_has_a_line_a_template(apart):
    head, *lines = apart.out("template", "list").splitlines()
    assert head.split() == ["NAME", "DESCRIPTION", "TAGS"]
    names = {path.stem for path in (ROOT / "templates").glob("*.toml")}
    assert {line.split()[0] for line in lines[: len(names)]} == names
    assert lines[-1] == "Next: caxton create NAME --template TEMPLATE"


def test_the_list_has_the_whole_templates_for_programs(apart):
    told = {template["name"]: template["toml"] for template in apart.json("template", "list")}
    assert told == {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "templates").glob("*.toml")}


def test_a_template_is_shown_ready_to_be_saved(apart):
    text = (ROOT / "templates" / "writer.toml").read_text(encoding="utf-8")
    assert apart.out("template", "show", "writer") == text
    assert apart.json("template", "show", "writer")["toml"] == text


def test_a_template_that_is_not_there_is_an_error_with_the_nearest(apart):
    assert "Did you mean 'writer'?" in apart.err("template", "show", "witer", fails=1)
