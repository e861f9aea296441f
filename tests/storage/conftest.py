"""A disk that fails when the test says so."""

from collections.abc import Iterator

import apsw
import pytest


class FailingFile(apsw.VFSFile):
    """A file on `disk`."""

    def __init__(self, disk: "FailingDisk", name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._disk.full:
            raise apsw.FullError("database or disk is full")
        if self._disk.broken:
            raise apsw.IOError("disk I/O error")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.syncs += 1
        if self._disk.unsafe:
            raise apsw.IOError("disk I/O error")
        super().xSync(flags)


class FailingDisk(apsw.VFS):
    """The system's own files, until it is set to be `full`, `broken` (no write works) or `unsafe` (no sync does).

    `syncs` counts the waits for the disk.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.full = self.broken = self.unsafe = False
        self.syncs = 0
        super().__init__("failing", base=base, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return FailingFile(self, name, flags)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """The disk that every database opened during the test is on."""
    ours = apsw.vfs_names()[0]
    disk = FailingDisk(ours)
    yield disk
    apsw.set_default_vfs(ours)
    disk.unregister()
