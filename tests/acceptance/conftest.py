"""Real servers for the acceptance tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.server import SCRIPTED, Cli, free_port


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command, with a server stopped at the end if the test left one running."""
    cli = Cli(tmp_path, free_port())
    yield cli
    cli.run("server", "stop", "--force")


@pytest.fixture
def server(cli: Cli) -> Cli:
    """The command, and a server on the embedded model that it started."""
    cli("server", "start")
    return cli


@pytest.fixture
def scripted(cli: Cli) -> Cli:
    """The command, and a server whose default provider is the scripted one: it echoes."""
    (cli.directory / "caxton.toml").write_text(SCRIPTED)
    cli("server", "start")
    return cli
