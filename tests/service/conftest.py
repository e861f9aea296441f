"""A house of services, shut and open."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A house that nobody has opened yet, its agents directory not made."""
    return House.on(tmp_path / "agents")


@pytest.fixture
async def running(house: House) -> AsyncIterator[House]:
    """An open house with one agent, `helper`, of `helper.toml`."""
    house.file()
    async with house.opened():
        yield house
