"""`caxton completion`: the scripts, and what the command answers them."""

import shutil
import subprocess

import pytest

from caxton.cli.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_its_script(apart, shell):
    script = apart.out("completion", shell)
    assert f"_CAXTON_COMPLETE={shell}_complete" in script
    assert "caxton" in script


@pytest.mark.parametrize("shell", SHELLS)
def test_its_own_shell_can_read_a_script(apart, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(apart.out("completion", shell))
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_a_shell_that_is_none_is_wrong_usage(apart):
    assert "'bash', 'zsh', 'fish'" in apart.err("completion", "tcsh", fails=2)


def test_commands_verbs_and_options_are_offered(complete):
    assert complete("ag") == ["agent"]
    assert complete("agent", "sh") == ["show"]
    assert "--output" in complete("agent", "list", "--o")
    assert complete("agent", "list", "--output", "j") == ["json"]
