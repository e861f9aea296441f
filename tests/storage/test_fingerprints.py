"""Approved descriptions outlive the server."""

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.tool import ToolName
from caxton.storage.database import open_database
from caxton.storage.fingerprints import open_fingerprints

READ = ToolName("files", "read_file")


async def test_what_was_approved_is_known_after_a_restart(tmp_path):
    async with open_database(tmp_path / "caxton.db") as database:
        async with open_fingerprints(database) as first:
            for number in range(20):
                first.approve(ToolName("files", f"tool_{number}"), "old")
            await first.settle()
            first.approve(READ, "one")
            first.approve(READ, "other")
        async with open_fingerprints(database) as second:
            assert second.find(READ) == "other"
            assert all(second.find(ToolName("files", f"tool_{number}")) == "old" for number in range(20))


async def test_what_cannot_be_stored_holds_as_long_as_the_server_and_is_told(tmp_path, caplog):
    class Full:
        async def scan(self, work):
            return []

        async def write(self, work):
            raise CaxtonError(Code.STORAGE_FAILED, "The disk is full.")

    async with open_fingerprints(Full()) as fingerprints:
        fingerprints.approve(READ, "one")
        await fingerprints.settle()
        assert fingerprints.find(READ) == "one"
        fingerprints.approve(READ, "two")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "The disk is full." in caplog.text
