"""What every store of approved tool descriptions does."""

import pytest

from caxton.domain.tool import ToolName
from caxton.storage.database import open_database
from caxton.storage.fingerprints import open_fingerprints
from caxton.tools.fingerprints import MemoryFingerprints

READ = ToolName("files", "read_file")


@pytest.fixture(params=["memory", "sqlite"])
async def fingerprints(request, tmp_path):
    if request.param == "memory":
        yield MemoryFingerprints()
    else:
        async with open_database(tmp_path / "caxton.db") as database, open_fingerprints(database) as opened:
            yield opened


async def test_a_tool_that_nobody_approved_has_none(fingerprints):
    assert fingerprints.find(READ) is None


async def test_what_is_approved_holds_at_once_and_until_another_is(fingerprints):
    fingerprints.approve(READ, "one")
    assert fingerprints.find(READ) == "one"
    fingerprints.approve(READ, "other")
    assert fingerprints.find(READ) == "other"


async def test_a_tool_is_one_of_its_server_alone(fingerprints):
    fingerprints.approve(READ, "one")
    fingerprints.approve(ToolName("files", "write_file"), "two")
    assert fingerprints.find(ToolName("other", "read_file")) is None
    assert fingerprints.find(ToolName("files", "write_file")) == "two"
    assert fingerprints.find(READ) == "one"
