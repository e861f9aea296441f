"""`caxton provider`."""

import pytest


def test_the_list_has_a_line_a_provider_and_marks_the_default(caxton):
    lines = caxton.out("provider", "list").splitlines()
    assert lines[0].split()[:3] == ["NAME", "KIND", "MODEL"]
    names = [line.split()[0] for line in lines[1:] if line and not line.startswith("*")]
    assert {"local", "openai", "scripted"} <= set(names)
    assert any(line.startswith("scripted *") for line in lines)


def test_one_is_shown_with_what_it_can_do(caxton):
    shown = caxton.out("provider", "show", "local")
    assert "SmolLM2" in shown
    assert "tools, json_schema" in shown
    assert caxton.json("provider", "show", "local")["model"]["vision"] is False


def test_a_provider_that_is_not_there_is_an_error_with_the_nearest(caxton):
    assert "Did you mean 'local'?" in caxton.err("provider", "show", "lokal", fails=1)


def test_a_check_says_how_long_the_answer_took(caxton):
    assert "scripted answers: the first token after 0." in caxton.out("provider", "check", "scripted")
    assert caxton.json("provider", "check", "scripted")["provider"] == "scripted"


def test_models_are_listed_with_what_is_known_of_them(caxton):
    lines = caxton.out("provider", "models", "local").splitlines()
    assert lines[0].split() == ["MODEL", "CONTEXT", "CAN", "DO"]
    assert "4096" in lines[1]


def test_what_a_provider_cannot_do_is_an_error(caxton):
    assert "cannot fetch models" in caxton.err("provider", "pull", "scripted", "big", fails=1)


def test_a_reset_is_confirmed(caxton):
    assert caxton.out("provider", "reset", "scripted") == "scripted is asked again.\n"


def test_usage_ends_with_the_sum_of_all(caxton):
    lines = caxton.out("provider", "usage", "--by", "agent").splitlines()
    assert lines[0].split()[0] == "AGENT"
    assert any(line.startswith("total") for line in lines)
    assert caxton.json("provider", "usage")["by"] == "day"


@pytest.mark.parametrize("wrong", [("--by", "moon"), ("--days", "0")])
def test_a_wrong_option_is_a_matter_of_usage(caxton, wrong):
    caxton.err("provider", "usage", *wrong, fails=2)
