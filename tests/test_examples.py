"""Every template and example is an agent that runs."""

import tomllib
from pathlib import Path

import pytest

from caxton.config.agent_file import diagnose
from caxton.config.settings import diagnose_settings
from caxton.config.source import read_source
from caxton.providers.kinds import provider_kinds

ROOT = Path(__file__).parent.parent
AGENTS = [*sorted((ROOT / "templates").glob("*.toml")), *sorted((ROOT / "examples").glob("*.toml"))]


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_agent_file_has_no_problem_and_is_named_as_its_file(path):
    assert diagnose(read_source(path), providers=["local", "openai"]) == []
    assert tomllib.loads(path.read_text(encoding="utf-8"))["name"] == path.stem


def test_the_sample_server_file_has_no_problem_and_shows_the_defaults():
    source = read_source(ROOT / "config" / "caxton.toml")
    assert diagnose_settings(source, kinds=provider_kinds()) == []
