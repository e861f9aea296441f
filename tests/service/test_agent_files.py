import os
import sys
from pathlib import Path

import pytest

from caxton.domain.errors import CaxtonError, Code
from caxton.service.agent_files import agent_files, delete, is_gone, make_directory, save


def test_the_directory_is_made_with_all_above_it(tmp_path):
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_files_come_by_name_whatever_they_are(tmp_path):
    for name in ("b.toml", "a.toml", ".hidden.toml", "c.txt", "d.toml~"):
        (tmp_path / name).touch()
    (tmp_path / "e.toml").mkdir()
    assert [path.name for path in agent_files(tmp_path)] == ["a.toml", "b.toml", "e.toml"]
    assert agent_files(tmp_path / "missing") == []


def test_what_is_there_is_not_gone(tmp_path):
    (tmp_path / "file").touch()
    assert not is_gone(tmp_path / "file")
    assert not is_gone(tmp_path)
    assert is_gone(tmp_path / "missing")
    assert is_gone(tmp_path / "file" / "below")


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links take a privilege on Windows")
def test_a_link_is_there_wherever_it_leads(tmp_path):
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not is_gone(tmp_path / "nowhere")
    assert not is_gone(tmp_path / "loop")


def test_what_the_system_does_not_say_is_not_gone(tmp_path, monkeypatch):
    def refuses(path):
        raise PermissionError("on purpose")

    monkeypatch.setattr(Path, "lstat", refuses)
    assert not is_gone(tmp_path / "missing")


def test_a_text_is_saved_byte_for_byte(tmp_path):
    text = 'name = "ümläut"\r\n# \N{PILE OF POO}\n'
    save(tmp_path / "new" / "a.toml", text, replace=False)
    assert (tmp_path / "new" / "a.toml").read_bytes() == text.encode()


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("before")
    with pytest.raises(CaxtonError) as caught:
        save(path, "after", replace=False)
    assert caught.value.code is Code.AGENT_EXISTS
    assert path.read_text() == "before"
    save(path, "after", replace=True)
    assert path.read_text() == "after"


@pytest.mark.skipif(sys.platform == "win32", reason="files have owners, and no modes, there")
def test_who_may_read_a_file_is_as_before_or_as_the_umask_has_it(tmp_path):
    path = tmp_path / "a.toml"
    before = os.umask(0o027)
    try:
        save(path, "new", replace=False)
        made = path.stat().st_mode & 0o777
        path.chmod(0o600)
        save(path, "replaced", replace=True)
    finally:
        os.umask(before)
    assert (made, path.stat().st_mode & 0o777) == (0o640, 0o600)


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.toml"
    path.write_text("before")

    def refuses(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", refuses)
    with pytest.raises(CaxtonError) as caught:
        save(path, "after", replace=True)
    assert (caught.value.code, caught.value.why) == (Code.STORAGE_FAILED, "the disk is full")
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.toml"]


def test_deleting_is_repeatable_and_says_where_it_cannot(tmp_path):
    path = tmp_path / "a.toml"
    path.touch()
    delete(path)
    delete(path)
    path.mkdir()
    with pytest.raises(CaxtonError) as caught:
        delete(path)
    assert caught.value.code is Code.STORAGE_FAILED
    assert str(path) in caught.value.message
