"""Server settings."""

from pathlib import Path

from caxton.domain.settings import ServerSettings


def test_everything_that_is_kept_lies_in_the_data_directory():
    settings = ServerSettings(data_dir=Path("d"), agents_dir=Path("a"))
    assert {settings.database, settings.log_file, settings.pid_file} == {
        Path("d/caxton.db"),
        Path("d/server.log"),
        Path("d/server.pid"),
    }
