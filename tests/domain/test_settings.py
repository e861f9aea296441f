"""Server settings."""

from pathlib import Path

import pytest

from caxton.domain.settings import ServerSettings


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("box.example", "http://box.example:8080"),
    ],
)
def test_the_url_is_where_this_machine_reaches_the_server(host, url):
    assert ServerSettings(data_dir=Path("d"), agents_dir=Path("a"), host=host).url == url


def test_everything_that_is_kept_lies_in_the_data_directory():
    settings = ServerSettings(data_dir=Path("d"), agents_dir=Path("a"))
    assert {settings.database, settings.log_file, settings.pid_file} == {
        Path("d/caxton.db"),
        Path("d/server.log"),
        Path("d/server.pid"),
    }
