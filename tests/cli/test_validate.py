"""`caxton validate`: without a server."""

import json

import pytest

GOOD = 'name = "good"\nsystem_prompt = "You echo."\n'
BAD = 'name = "bad"\nsystem_promt = "You echo."\n'


@pytest.fixture
def agents(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "good.toml").write_text(GOOD)
    (tmp_path / "agents" / "bad.toml").write_text(BAD)
    (tmp_path / "agents" / "notes.txt").write_text("no agent")
    return tmp_path / "agents"


def test_a_good_file_is_ok(apart, agents):
    assert apart.out("validate", "agents/good.toml").replace("\\", "/") == "agents/good.toml: ok\n"


def test_every_problem_of_a_bad_file_is_told_with_its_place(apart, agents):
    said = apart.out("validate", str(agents / "bad.toml"), fails=1)
    assert "bad.toml:2:1: error[unknown_key]" in said
    assert " 2 | system_promt" in said
    assert "Did you mean 'system_prompt'?" in said
    assert said.splitlines()[-1] == "2 errors"


def test_a_folder_is_all_its_files(apart, agents):
    told = apart("validate", "agents", "--output", "json", fails=1)
    answer = json.loads(told.stdout)
    assert not answer["valid"]
    problems = {file["file"].rpartition("bad.toml")[1] or "good": file["diagnostics"] for file in answer["files"]}
    assert problems["good"] == []
    assert {problem["code"] for problem in problems["bad.toml"]} == {"missing_key", "unknown_key"}


def test_nothing_wrong_is_told_to_programs(apart, agents):
    answer = apart.json("validate", "agents/good.toml")
    assert answer == {"valid": True, "files": [{"file": answer["files"][0]["file"], "diagnostics": []}]}


def test_a_folder_without_agents_is_wrong_usage(apart, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no .toml file" in apart.err("validate", "empty", fails=2)


def test_a_file_that_is_not_there_is_an_error(apart):
    assert "missing.toml: error[unreadable]" in apart.out("validate", "missing.toml", fails=1)


def test_a_server_file_is_judged_as_one(apart, tmp_path):
    (tmp_path / "caxton.toml").write_text("[server]\nprot = 1\n")
    assert "Did you mean 'port'?" in apart.out("validate", "caxton.toml", fails=1)
    (tmp_path / "caxton.toml").write_text("[server]\nport = 1\n")
    assert apart.out("validate", "caxton.toml") == "caxton.toml: ok\n"


def test_an_agent_may_use_the_providers_of_the_server_file(apart, tmp_path):
    (tmp_path / "x.toml").write_text(GOOD + 'llm_provider = "mine"\n')
    assert "'mine'" in apart.out("validate", "x.toml", fails=1)
    (tmp_path / "caxton.toml").write_text('[providers.mine]\nkind = "openai"\nbase_url = "http://x/v1"\n')
    assert apart.out("validate", "x.toml") == "x.toml: ok\n"


def test_nothing_to_check_is_wrong_usage(apart):
    assert "FILE" in apart.err("validate", fails=2)
