"""The JSON that people have already."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.tools.mcp_json import McpJson, read_mcp_json


def read(text: str) -> McpJson:
    return read_mcp_json(text, Path("mcp.json"))


CLAUDE = """{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv/data"],
      "env": {"LEVEL": "${LEVEL:-info}"}
    },
    "remote": {"type": "http", "url": "https://example.com/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}}
  }
}"""

VS_CODE = """{
  // what VS Code has
  "servers": {
    "Git Hub": {"type": "stdio", "command": "gh-mcp", "args": ["https://x//y"], /* odd */ "env": {"T": "${env:T}"},},
  },
}"""


def test_claudes_file_is_read():
    servers = read(CLAUDE).servers
    files, remote = servers["filesystem"], servers["remote"]
    assert (files.kind, files.command, files.args[-1], files.env) == (
        "stdio",
        "npx",
        "/srv/data",
        {"LEVEL": "${LEVEL:-info}"},
    )
    assert (remote.kind, remote.url) == ("http", "https://example.com/mcp")
    assert remote.headers == {"Authorization": "Bearer ${TOKEN}"}


@pytest.mark.parametrize("text", [VS_CODE, f'{{"mcp": {VS_CODE}}}'])
def test_vs_codes_file_is_read_with_its_comments(text):
    result = read(text)
    assert list(result.servers) == ["git-hub"]
    assert result.servers["git-hub"].args == ("https://x//y",)
    assert [one.code for one in result.diagnostics] == ["renamed"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "malformed_json"),
        ("[]", "missing_key"),
        ("{}", "missing_key"),
        ('{"mcpServers": {"a": 1}}', "wrong_type"),
        ('{"mcpServers": {"a": {}}}', "missing_key"),
        ('{"mcpServers": {"a": {"command": 3}}}', "missing_key"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "wrong_type"),
        ('{"mcpServers": {"a": {"type": "sse", "url": "http://x"}}}', "unknown_transport"),
        ('{"mcpServers": {"!!": {"command": "x"}}}', "invalid_name"),
        ('{"mcpServers": {"a": {"command": "x"}, "A": {"command": "x"}}}', "duplicate_name"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"K": "${input:key}"}}}}', "unknown_variable"),
        ('{"mcpServers": {"a": {"command": "x", "args": ["${workspaceFolder}"]}}}', "unknown_variable"),
    ],
)
def test_what_is_wrong_is_told_and_that_server_left_out(text, code):
    result = read(text)
    assert code in [one.code for one in result.diagnostics if one.is_error]
    assert "a" not in result.servers or code == "duplicate_name"


def test_one_wrong_server_does_not_cost_the_others():
    result = read('{"mcpServers": {"bad": {}, "good": {"command": "x", "timeout": 1500, "disabled": true}}}')
    assert list(result.servers) == ["good"]
    assert (result.servers["good"].timeout, result.servers["good"].disabled) == (1.5, True)


def test_what_means_nothing_here_is_passed_over_with_a_warning():
    result = read('{"mcpServers": {"a": {"command": "x", "alwaysAllow": ["y"]}}}')
    (warning,) = result.diagnostics
    assert (warning.code, warning.is_error, warning.key) == ("ignored_key", False, "mcpServers.a.alwaysAllow")
    assert "a" in result.servers


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    read(text)
    read(f'{{"mcpServers": {{"a": {{"command": "x", "args": ["{text}"]}}}}}}')
