"""Every template and example is an agent that runs."""

import re
import tomllib
from pathlib import Path

import pytest

from caxton.config.agent_file import diagnose
from caxton.config.bus_tables import BusTable, RetriesTable
from caxton.config.limits import LimitsTable
from caxton.config.settings import PriceTable, ProviderTable, ServerTable, diagnose_settings
from caxton.config.source import read_source
from caxton.config.tool_tables import McpServerTable, RuleTable, ToolsTable
from caxton.providers.kinds import provider_kinds

ROOT = Path(__file__).parent.parent
FOLDERS = [ROOT / "templates", *(ROOT / "examples" / one for one in ("", "collaboration", "contract-net"))]
AGENTS = [path for folder in FOLDERS for path in sorted(folder.glob("*.toml"))]


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_agent_file_has_no_problem_and_is_named_as_its_file(path):
    assert diagnose(read_source(path), providers=["local", "openai"]) == []
    assert tomllib.loads(path.read_text(encoding="utf-8"))["name"] == path.stem


def test_the_sample_server_file_has_no_problem_and_shows_the_defaults():
    source = read_source(ROOT / "config" / "caxton.toml")
    assert diagnose_settings(source, kinds=provider_kinds()) == []


def uncommented() -> str:
    """The sample server file with everything in force that it shows."""
    text = (ROOT / "config" / "caxton.toml").read_text(encoding="utf-8")
    return re.sub(r"^# (?=\[\[?[a-z_.]+\]|[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_what_the_sample_server_file_leaves_commented_out_has_no_problem_either(tmp_path):
    file = tmp_path / "caxton.toml"
    file.write_text(uncommented(), encoding="utf-8")
    assert diagnose_settings(read_source(file), kinds=provider_kinds()) == []


def test_the_sample_server_file_shows_every_key_of_a_provider():
    providers = tomllib.loads(uncommented())["providers"].values()
    # `script` is for tests.
    assert {key for provider in providers for key in provider} == ProviderTable.model_fields.keys() - {"script"}
    for table, model in (("limits", LimitsTable), ("price", PriceTable)):
        shown = {key for provider in providers for key in provider.get(table, {})}
        assert shown == model.model_fields.keys()


def test_the_sample_server_file_shows_every_key_of_the_bus():
    shown = tomllib.loads(uncommented())["bus"]
    assert shown.keys() == BusTable.model_fields.keys()
    assert shown["retries"].keys() == RetriesTable.model_fields.keys()


def test_the_sample_server_file_shows_every_key_of_tools_and_their_servers():
    whole = tomllib.loads(uncommented())
    assert whole["tools"].keys() == ToolsTable.model_fields.keys()
    assert {key for rule in whole["tools"]["rules"] for key in rule} == RuleTable.model_fields.keys() - {"hosts"}
    # `kind` is for those of other packages.
    shown = {key for server in whole["mcp_servers"].values() for key in server}
    assert shown == McpServerTable.model_fields.keys() - {"kind"}


def test_a_default_that_the_sample_server_file_shows_is_the_default():
    shown = tomllib.loads((ROOT / "config" / "caxton.toml").read_text(encoding="utf-8"))
    chosen = {"kind", "api_key_env"}
    for provider in shown["providers"].values():
        for key in provider.keys() - chosen:
            assert provider[key] == ProviderTable.model_fields[key].default
    for key, value in shown["server"].items():
        assert value == ServerTable.model_fields[key].default
    assert ToolsTable.model_validate(shown["tools"]) == ToolsTable()


def test_the_text_on_providers_speaks_of_every_limit():
    text = (ROOT / "tutorial" / "providers.md").read_text(encoding="utf-8")
    assert [key for key in LimitsTable.model_fields if f"{key} = " not in text] == []
