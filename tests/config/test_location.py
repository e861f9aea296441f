"""Where a server's files are and where it listens, found out lightly."""

from pathlib import Path

import pytest

from caxton.config.location import Location, find_file, locate, resolve, url_of
from caxton.config.settings import load_settings


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "home"
    (folder / ".caxton").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


@pytest.fixture
def cwd(tmp_path, home) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_a_server_file_is_looked_for_from_the_most_particular_place_to_the_most_general(cwd, home):
    data_dir = cwd / "data"
    data_dir.mkdir()
    assert find_file({}, {}, cwd) is None
    for folder in (home / ".caxton", data_dir, cwd):
        (folder / "caxton.toml").write_text("")
    flags, environ = {"config": "flag.toml"}, {"CAXTON_CONFIG": "env.toml"}
    assert find_file(flags, environ, cwd) == cwd / "flag.toml"
    assert find_file({"config": None}, environ, cwd) == cwd / "env.toml"
    assert find_file({}, {}, cwd) == cwd / "caxton.toml"
    (cwd / "caxton.toml").unlink()
    assert find_file({}, {}, cwd) == home / ".caxton" / "caxton.toml"
    assert find_file({}, {"CAXTON_DATA_DIR": "data"}, cwd) == data_dir / "caxton.toml"
    assert find_file({"data_dir": "elsewhere"}, {"CAXTON_DATA_DIR": "data"}, cwd) is None


def test_a_directory_of_that_name_is_no_server_file(cwd):
    (cwd / "caxton.toml").mkdir()
    assert find_file({}, {}, cwd) is None


def test_a_folder_that_may_not_be_looked_into_holds_no_server_file(cwd, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert find_file({}, {}, cwd) is None


def test_a_path_is_below_its_base_unless_it_is_absolute_or_at_home(tmp_path, home):
    assert resolve("a/b", tmp_path) == tmp_path / "a" / "b"
    assert resolve(str(tmp_path), Path("elsewhere")) == tmp_path
    assert resolve("~/a", tmp_path) == home / "a"
    assert resolve("~nobody-of-this-name/a", tmp_path) == tmp_path / "~nobody-of-this-name" / "a"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("example.org", "http://example.org:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
    ],
)
def test_a_server_is_reached_where_it_listens_and_by_loopback_where_that_is_everywhere(host, url):
    assert url_of(host, 80) == url


class TestLocate:
    def test_without_anything_it_is_this_machine_and_the_folder_at_home(self, cwd, home):
        location = locate({}, {}, cwd)
        assert location == Location(home / ".caxton", "http://127.0.0.1:8080")
        assert location.pid_file == home / ".caxton" / "server.pid"
        assert location.log_file == home / ".caxton" / "server.log"

    def test_flag_goes_before_environment_before_file(self, cwd):
        (cwd / "caxton.toml").write_text('[server]\nport = 1\nhost = "file"\ndata_dir = "file"\n')
        environ = {"CAXTON_PORT": "2", "CAXTON_HOST": "env", "CAXTON_DATA_DIR": "env"}
        flags = {"port": 3, "host": "flag", "data_dir": "flag"}
        assert locate({}, {}, cwd) == (cwd / "file", "http://file:1")
        assert locate({}, environ, cwd) == (cwd / "env", "http://env:2")
        assert locate(flags, environ, cwd) == (cwd / "flag", "http://flag:3")

    def test_a_url_goes_before_host_and_port(self, cwd):
        environ = {"CAXTON_PORT": "2", "CAXTON_URL": "https://env/"}
        assert locate({}, environ, cwd).url == "https://env"
        assert locate({"url": "https://flag/base/"}, environ, cwd).url == "https://flag/base"

    @pytest.mark.parametrize(
        "data",
        [b"[server", b"\xff", b"server = 5", b"", b"x = " + b"[" * 5000, b"[server]\nport = " + b"9" * 5000],
        ids=["no TOML", "no UTF-8", "no table", "empty", "too deep", "too great"],
    )
    def test_what_cannot_be_read_counts_as_not_there(self, cwd, data):
        (cwd / "caxton.toml").write_bytes(data)
        assert locate({}, {}, cwd).url == "http://127.0.0.1:8080"
        assert locate({"config": "none.toml"}, {}, cwd).url == "http://127.0.0.1:8080"

    def test_a_byte_order_mark_is_no_part_of_the_file(self, cwd):
        (cwd / "caxton.toml").write_bytes(b"\xef\xbb\xbf[server]\nport = 9000\n")
        assert locate({}, {}, cwd).url == "http://127.0.0.1:9000"

    @pytest.mark.parametrize(
        ("flags", "environ"),
        [
            ({}, {}),
            ({"data_dir": "d"}, {}),
            ({}, {"CAXTON_DATA_DIR": "e", "CAXTON_PORT": "9"}),
            ({"config": "sub/caxton.toml"}, {}),
            ({"port": 7}, {"CAXTON_CONFIG": "sub/caxton.toml", "CAXTON_HOST": ""}),
        ],
    )
    def test_it_finds_what_the_server_itself_finds(self, cwd, flags, environ):
        (cwd / "sub").mkdir()
        for folder in (cwd, cwd / "sub"):
            (folder / "caxton.toml").write_text(
                f'[server]\nport = 9000\nhost = "::"\ndata_dir = "{folder.name}-data"\n'
            )
        settings = load_settings(flags=flags, environ=environ, cwd=cwd, kinds=["local", "openai"])
        location = locate(flags, environ, cwd)
        assert location == Location(settings.data_dir, url_of(settings.host, settings.port))
        assert (location.pid_file, location.log_file) == (settings.pid_file, settings.log_file)
