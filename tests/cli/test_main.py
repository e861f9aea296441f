"""The top of the command: what becomes of errors, texts that are none, and the help."""

import io
import json
import os
import subprocess
import sys
from importlib import import_module

import click
import pytest

from caxton.cli import main as module
from caxton.cli.main import COMMANDS, cli
from caxton.cli.man import commands

EVERY = [name.split()[1:] for name, _, _ in commands(click.Context(cli, info_name="caxton"))]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_has_a_help_that_fits(apart, words):
    said = apart.out(*words, "--help")
    assert said.startswith(f"Usage: {' '.join(['caxton', *words])} ")
    assert "..." not in said.partition("Commands:")[2].replace("ARGS]...", ""), "a summary is cut off"
    for option in ("--url", "--output [table|json]", "--no-color"):
        assert option in said


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_summary_in_the_table_is_how_the_commands_help_begins(name):
    place, summary = COMMANDS[name]
    path, _, attribute = place.partition(":")
    command = getattr(import_module(path), attribute)
    assert command.name == name
    assert command.help.split()[0] == summary.split()[0]


@pytest.mark.parametrize("words", [[], ["agent"], ["agent", "list"]], ids=" ".join)
def test_h_is_short_for_help(words):
    command = [sys.executable, "-m", "caxton", *words]
    short, long = (subprocess.run([*command, option], capture_output=True, check=True) for option in ("-h", "--help"))
    assert short.stdout == long.stdout


def test_no_command_is_wrong_usage_with_the_help(apart):
    said = apart.err(fails=2)
    assert "Begin with: caxton server start" in said


@pytest.mark.parametrize(
    ("words", "nearest"), [(["agnt", "list"], "agent"), (["serve"], "server"), (["agent", "lst"], "list")]
)
def test_a_command_that_is_none_is_told_with_the_nearest(apart, words, nearest):
    assert f"Did you mean {nearest!r}?" in apart.err(*words, fails=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["agnt", "list"], "Did you mean 'agent'?"),
        (["agent", "show"], "Missing argument 'NAME'."),
        (["agent", "list", "--bogus"], "No such option '--bogus'"),
        (["validate", "."], "There is no .toml file"),
    ],
)
@pytest.mark.parametrize("option", [["--output", "json"], ["--output=json"]], ids=" ".join)
def test_wrong_usage_is_an_error_in_json_for_programs(apart, words, said, option):
    told = json.loads(apart.err(*words, *option, fails=2))
    assert told["code"] == "usage_invalid"
    assert said in told["message"]
    assert "--help" in told["hint"]


def test_a_command_that_is_like_none_is_told(apart):
    assert "No such command 'xyzzy'." in apart.err("xyzzy", fails=2)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_common_options_stand_anywhere(caxton, place):
    words = ["agent", "list"]
    words[place:place] = ["--output", "json"]
    assert caxton.out(*words).startswith("{")


@pytest.mark.usefixtures("agent")
def test_the_last_of_two_is_what_counts(caxton):
    assert caxton.out("--output", "json", "agent", "list", "--output", "table").startswith("NAME")


@pytest.mark.usefixtures("agent")
def test_the_output_may_be_chosen_by_the_environment(caxton):
    caxton.environ["CAXTON_OUTPUT"] = "json"
    assert caxton.out("agent", "list").startswith("{")
    assert caxton.out("agent", "list", "--output", "table").startswith("NAME")


def test_a_file_that_cannot_be_used_is_an_error_and_no_traceback(apart, tmp_path):
    (tmp_path / "file").write_text("")
    said = apart.err("man", "--dir", "file/man", fails=1)
    assert "cannot be used" in said
    assert "hint: " in said


def test_a_fault_of_ours_is_not_hidden(apart, monkeypatch):
    monkeypatch.setitem(COMMANDS, "version", ("caxton.cli.nowhere:version", ""))
    with pytest.raises(ModuleNotFoundError):
        apart("version")


def test_ctrl_c_ends_with_its_own_status(apart, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.cli, "main", interrupted)
    assert apart("version", fails=130).output == ""


def test_whoever_has_seen_enough_sees_no_traceback(apart, tmp_path):
    done = subprocess.run(  # noqa: S602 - it is the pipe that is tested
        f'"{sys.executable}" -m caxton template list | "{sys.executable}" -c "input()"',
        shell=True,
        env={**os.environ, **apart.environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_terminal_cannot_show_is_a_question_mark(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    module._tolerate()
    print("→ é")
    sys.stdout.flush()
    assert shown.getvalue() == b"? \xe9\n".replace(b"\n", os.linesep.encode())
    assert sys.stdin.read() == "caf\udce9"
