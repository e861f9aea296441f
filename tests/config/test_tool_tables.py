"""`[tools]` and `[mcp_servers.NAME]`: what they come to, and what is wrong with them, at its place."""

from pathlib import Path

import pytest
from support.marked import assert_told, read_marked

from caxton.config.settings import diagnose_settings, load_settings
from caxton.domain.agent import Source
from caxton.domain.tool_settings import (
    ArgumentRule,
    McpServerSettings,
    OnChange,
    Sharing,
    Starting,
    ToolPolicy,
    ToolSettings,
)

BROKEN = {
    "no way to run it": "[mcp_servers.a]\n             ^ invalid_value: this one has none\nargs = ['x']\n",
    "a misspelt key": "[mcp_servers.a]\ncomand = 'x'\n^^^^^^ unknown_key: Did you mean 'command'?\n",
    "two ways at once": "[mcp_servers.a]\n"
    + "             ^ invalid_value: 'command' and 'url'\n"
    + "command = 'x'\n"
    + "url = 'http://x'\n",
    "a standard server that there is not": "[mcp_servers.a]\n"
    + "standard = 'file'\n"
    + "           ^^^^^^ invalid_value: 'files'\n",
    "an address that is none": "[mcp_servers.a]\n"
    + "url = 'localhost:80'\n"
    + "      ^^^^^^^^^^^^^^ invalid_value: has to begin with http://\n",
    "an empty command": "[mcp_servers.a]\ncommand = ''\n          ^^ invalid_value: empty\n",
    "arguments that are one text": "[mcp_servers.a]\ncommand = 'x'\nargs = '-v'\n       ^^^^ wrong_type: a list\n",
    "a variable that is no text": "[mcp_servers.a]\ncommand = 'x'\nenv = {A = 5}\n           ^ wrong_type: text\n",
    "a duration that is none": "[mcp_servers.a]\n"
    + "command = 'x'\n"
    + "timeout = 'soon'\n"
    + "          ^^^^^^ invalid_value: is not a duration\n",
    "a start that is none": "[mcp_servers.a]\ncommand = 'x'\nstart = 'now'\n        ^^^^^ invalid_value: lazy, eager\n",
    "a pattern without a dot": "[tools]\nallow = ['files']\n         ^^^^^^^ invalid_value: Write 'files.*'\n",
    "a pattern with an empty end": "[tools]\n"
    + "deny = ['*', 'files.']\n"
    + "             ^^^^^^^^ invalid_value: Write 'files.*'\n",
    "a pattern of a server that cannot be": "[tools]\n"
    + "approve = ['Files.x']\n"
    + "           ^^^^^^^^^ invalid_value: no server's name\n",
    "an unknown way with changes": "[tools]\non_change = 'ignore'\n            ^^^^^^^^ invalid_value: block, flag\n",
    "a rule without its tool": "[[tools.rules]]\n"
    + "        ^^^^^ missing_key: 'tool' is missing\n"
    + "argument = 'path'\n"
    + "path_prefixes = ['.']\n",
    "a rule that bounds nothing": "[[tools.rules]]\n"
    + "        ^^^^^ invalid_value: 'path_prefixes' or 'hosts'\n"
    + "tool = 'a.b'\n"
    + "argument = 'path'\n",
    "a rule with a strange key": "[[tools.rules]]\n"
    + "tool = 'a.b'\n"
    + "argument = 'p'\n"
    + "hosts = ['x']\n"
    + "host = 'y'\n"
    + "^^^^ unknown_key: has no key 'host'\n",
    "servers that are a list": "[[mcp_servers]]\n  ^^^^^^^^^^^ wrong_type: a table\nname = 'a'\n",
}


def told(text: str) -> list:
    return diagnose_settings(Source(path="caxton.toml", text=text), kinds=("scripted",))


@pytest.mark.parametrize("marked", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_shown_at_its_place(marked):
    text, marks = read_marked(marked)
    assert_told(told(text), marks)


def test_a_key_where_a_variables_name_belongs_is_not_shown():
    [one] = told("[mcp_servers.a]\nurl = 'http://x'\nbearer_env = 'sk-123'\n")
    assert (one.line, one.column) == (3, 14)
    assert "sk-123" not in one.render()


@pytest.mark.parametrize("name", ["A", "a.b", "a b", "ü", "x" * 65, "-a"])
def test_a_name_that_no_server_can_have_is_told(name):
    [one] = told(f"[mcp_servers.\"{name}\"]\ncommand = 'x'\n")
    assert "no server's name" in one.message


def load(tmp_path: Path, text: str) -> ToolSettings:
    (tmp_path / "caxton.toml").write_text(text, encoding="utf-8")
    return load_settings(flags={}, environ={}, cwd=tmp_path, kinds=("scripted",)).tools


def test_without_any_table_everything_may_be_given_and_there_is_nothing(tmp_path):
    assert load(tmp_path, "") == ToolSettings()


def test_every_key_comes_to_its_setting(tmp_path):
    tools = load(
        tmp_path,
        """
        [tools]
        allow = ["files.*"]
        deny = ["*.delete"]
        approve = ["files.write_*"]
        approval_timeout = "1m30s"
        on_change = "flag"
        mcp_json = ["servers.json"]

        [[tools.rules]]
        tool = "files.write_*"
        argument = "path"
        path_prefixes = ["drafts"]
        agents = ["writer-*"]

        [mcp_servers.files]
        standard = "files"
        args = ["notes"]

        [mcp_servers.git]
        command = "uvx"
        args = ["mcp-server-git"]
        cwd = "repo"
        env = {LEVEL = "${LEVEL:-low}"}
        inherit = ["SSH_AUTH_SOCK"]
        start = "eager"
        sharing = "agent"
        timeout = "2m"
        start_timeout = 5
        max_result_bytes = "1MB"
        roots = ["repo"]
        sampling = true

        [mcp_servers.far]
        url = "https://example.com/mcp"
        headers = {X = "${KEY}"}
        bearer_env = "TOKEN"
        disabled = true

        [mcp_servers.other]
        kind = "pigeon"
        """,
    )
    assert tools.policy == ToolPolicy(
        allow=("files.*",),
        deny=("*.delete",),
        approve=("files.write_*",),
        approval_timeout=90.0,
        on_change=OnChange.FLAG,
        rules=(ArgumentRule(tool="files.write_*", argument="path", path_prefixes=("drafts",), agents=("writer-*",)),),
    )
    assert tools.mcp_json == (tmp_path / "servers.json",)
    assert tools.servers == {
        "files": McpServerSettings(
            name="files", kind="standard", args=("notes",), cwd=tmp_path, options={"server": "files"}
        ),
        "git": McpServerSettings(
            name="git",
            command="uvx",
            args=("mcp-server-git",),
            cwd=tmp_path / "repo",
            env={"LEVEL": "${LEVEL:-low}"},
            inherit=("SSH_AUTH_SOCK",),
            start=Starting.EAGER,
            sharing=Sharing.AGENT,
            timeout=120.0,
            start_timeout=5.0,
            max_result_bytes=1_000_000,
            roots=(tmp_path / "repo",),
            sampling=True,
        ),
        "far": McpServerSettings(
            name="far",
            kind="http",
            cwd=tmp_path,
            url="https://example.com/mcp",
            headers={"X": "${KEY}"},
            bearer_env="TOKEN",
            disabled=True,
        ),
        "other": McpServerSettings(name="other", kind="pigeon", cwd=tmp_path),
    }
