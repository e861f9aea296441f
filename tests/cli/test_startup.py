"""What a command imports: only what it needs, so that it has run before a library would be there."""

import os
import subprocess
import sys

import pytest

HEAVY = {
    "anyio", "apsw", "asyncio", "httpx", "logging", "mcp", "numpy", "openai", "prompt_toolkit",
    "pydantic", "rich", "sqlite3", "starlette", "tomli_w", "tree_sitter", "uvicorn", "watchfiles", "xllamacpp",
}  # fmt: skip
OURS = {"bus", "memory", "providers", "runtime", "server", "storage", "telemetry", "testing", "tools", "wiring"}
PROGRAM = """
import sys
before = set(sys.modules)
from caxton.cli.main import main
status = main(sys.argv[1:])
print(status, *sorted(set(sys.modules) - before), sep="\\n", file=sys.stderr)
"""


@pytest.fixture
def imported(caxton, tmp_path):
    """The modules that a command imports beyond those of the interpreter."""

    def modules(*words: str, status: int = 0) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            cwd=tmp_path,
            env={**os.environ, **{k: v for k, v in caxton.environ.items() if v}},
            input="",
            capture_output=True,
            text=True,
            check=True,
        )
        ended, *names = done.stderr.splitlines()[done.stderr.splitlines().index(str(status)) :]
        assert ended == str(status)
        return set(names)

    return modules


def heavy(modules: set[str]) -> set[str]:
    ours = {name for name in modules if name.startswith("caxton.") and name.split(".")[1] in OURS}
    return ours | {name for name in modules if name in HEAVY or name.split(".")[0] in HEAVY}


def test_help_and_version_import_nearly_nothing(imported):
    for words in (["--help"], ["version"]):
        modules = imported(*words)
        assert heavy(modules) == set()
        assert not modules & {"msgspec", "http.client", "subprocess", "caxton.domain.errors"}, words


@pytest.mark.parametrize(
    "words",
    [
        ["agent", "--help"],
        ["agent", "list"],
        ["agent", "list", "--output", "json"],
        ["completion", "bash"],
        ["conversation", "list"],
        ["man"],
        ["server", "start", "--help"],
        ["server", "status"],
        ["server", "stop"],
        ["template", "list"],
        ["template", "show", "assistant"],
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(imported, words):
    assert heavy(imported(*words)) == set()


def test_commands_on_an_agent_import_nothing_heavy(imported, agent):
    for words in (
        ["agent", "show", agent],
        ["agent", "history", agent],
        ["message", "send", agent, "Hello"],
        ["message", "send", agent, "Hello", "--stream"],
        ["message", "list", agent],
    ):
        assert heavy(imported(*words)) == set(), words


def test_an_error_imports_nothing_heavy(imported, caxton):
    caxton.environ["CAXTON_URL"] = "http://127.0.0.1:1"
    for words in (["agent", "list"], ["server", "status"], ["message", "send", "a", "b"]):
        assert heavy(imported(*words, status=3)) == set()


def test_the_check_would_find_a_heavy_module(imported):
    assert "pydantic" in heavy(imported("schema"))
