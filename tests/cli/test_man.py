"""`caxton man`: pages made from the commands."""

import shutil
import subprocess

import click
import pytest

from caxton.cli.main import cli
from caxton.cli.man import commands, manual_page

NAMES = [name for name, _, _ in commands(click.Context(cli, info_name="caxton"))]


@pytest.fixture
def pages(apart, tmp_path):
    said = apart.out("man", "--dir", "pages")
    assert said == f"Wrote {len(NAMES)} pages to pages.\n"
    return tmp_path / "pages"


def test_every_command_has_a_page(pages):
    assert {path.name for path in pages.iterdir()} == {f"{name.replace(' ', '-')}.1" for name in NAMES}


def test_a_page_says_what_the_command_does_and_takes(pages):
    page = (pages / "caxton-message-send.1").read_text(encoding="utf-8")
    assert page.startswith('.TH "CAXTON-MESSAGE-SEND" 1')
    assert "caxton message send \\- Send a message and print the answer" in page
    assert "[OPTIONS] AGENT [TEXT]" in page
    assert ".B \\-\\-conversation TEXT\n" in page
    assert ".SH EXIT STATUS" in page


def test_the_page_of_a_noun_leads_to_those_of_its_verbs(pages):
    page = (pages / "caxton-agent.1").read_text(encoding="utf-8")
    assert ".B caxton agent show\nSee caxton\\-agent\\-show(1).\n" in page


def test_words_are_nothing_else_to_roff():
    @click.command(help="First.\n\n.hidden\n'quoted\nC:\\new -x")
    def odd() -> None: ...

    page = manual_page("odd", odd, click.Context(odd, info_name="odd"))
    assert "\\&.hidden\n\\&'quoted\nC:\\enew \\-x\n" in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_groff_finds_nothing_wrong(pages):
    for page in pages.iterdir():
        done = subprocess.run(
            ["groff", "-man", "-ww", "-z", str(page)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), page.name
