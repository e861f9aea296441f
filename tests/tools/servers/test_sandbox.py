"""The sandbox alone: paths, and what may come in between."""

import os
import socket
import stat
import threading
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.tools.servers.sandbox import Refused, Sandbox, names_of

PIECES = st.one_of(
    st.sampled_from(["..", ".", "", "a", "b", "...", "..\\..", "C:", "~", "con", "NUL.txt", "a ", "a."]),
    st.text(max_size=4),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("hush")
    return root


@pytest.fixture
def sandbox(root: Path):
    sandbox = Sandbox(root)
    yield sandbox
    sandbox.close()


def read(sandbox: Sandbox, path: str) -> bytes:
    with sandbox.reading(path) as file:
        return file.read()


@given(st.lists(PIECES, max_size=6).map("/".join))
def test_a_path_is_refused_or_made_of_names_below_the_root(path):
    try:
        names = names_of(path)
    except Refused:
        return
    assert not any(name in ("", ".", "..") or set(name) & set("/\\:\0") for name in names)
    assert PurePosixPath("/root", *names).is_relative_to("/root")
    assert names_of("/".join(names)) == names


@pytest.mark.parametrize("path", ["", ".", "./", "./."])
def test_the_root_itself_has_no_name(path):
    assert names_of(path) == []


@pytest.mark.parametrize(
    "path", ["a", "a/b", "./a//b/", ".hidden", "...a", "ü/日本", "a b", "-rf", "~", "confetti", "nul1"]
)
def test_ordinary_paths_are_taken(path):
    names_of(path)


def test_a_file_is_read_and_written(sandbox, root):
    sandbox.write("a.txt", b"one", new=True)
    assert read(sandbox, "a.txt") == b"one"
    with pytest.raises(FileExistsError):
        sandbox.write("a.txt", b"two", new=True)
    sandbox.write("a.txt", b"two", new=False)
    assert (root / "a.txt").read_bytes() == b"two"
    assert [name for name, _ in sandbox.listed([])] == ["a.txt"]


def test_writing_keeps_the_files_mode(sandbox, root):
    sandbox.write("run.sh", b"#!", new=True)
    (root / "run.sh").chmod(0o750)
    sandbox.write("run.sh", b"#!/bin/sh", new=False)
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o750


def test_a_file_with_a_second_name_is_refused(sandbox, root, tmp_path):
    os.link(tmp_path / "secret.txt", root / "mine.txt")
    with pytest.raises(Refused, match="hard links"):
        read(sandbox, "mine.txt")
    with pytest.raises(Refused, match="hard links"):
        sandbox.write("mine.txt", b"x", new=False)
    assert (tmp_path / "secret.txt").read_text() == "hush"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_without_waiting_for_it(sandbox, root):
    os.mkfifo(root / "pipe")
    with pytest.raises(Refused, match="no ordinary file"):
        read(sandbox, "pipe")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no sockets with names here")
def test_a_socket_is_refused(sandbox, root, monkeypatch):
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(Refused, match="no ordinary file"):
            read(sandbox, "s")


def test_links_are_shown_and_not_followed(sandbox, root, tmp_path):
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to(root)
    (root / "sub").mkdir()
    (root / "sub" / "a").write_text("x")
    assert sorted(name for name, _ in sandbox.walk(".", 10)) == ["loop", "out", "sub", "sub/a"]
    for path in ("out/secret.txt", "loop/sub/a", "out"):
        with pytest.raises(Refused, match="link"):
            read(sandbox, path)


def test_a_deep_tree_is_walked_as_deep_as_asked(sandbox, root):
    (root / "/".join("abcdef")).mkdir(parents=True)
    assert [name for name, _ in sandbox.walk(".", 2)] == ["a", "a/b", "a/b/c"]


def test_a_root_that_is_a_link_is_followed_once(tmp_path, root):
    (root / "a").write_text("x")
    (tmp_path / "alias").symlink_to(root)
    sandbox = Sandbox(tmp_path / "alias")
    (tmp_path / "alias").unlink()
    assert read(sandbox, "a") == b"x"
    sandbox.close()


def test_a_directory_swapped_for_a_link_during_reading_never_leads_out(sandbox, root, tmp_path):
    """The race that checks of whole paths lose: between the check and the use somebody swaps a directory for a link."""
    (root / "real").mkdir()
    (root / "real" / "secret.txt").write_text("mine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "real").rename(root / "aside")
            (root / "real").symlink_to(tmp_path)
            (root / "real").unlink()
            (root / "aside").rename(root / "real")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen = set()
        for _ in range(3_000):
            try:
                seen.add(read(sandbox, "real/secret.txt"))
            except (Refused, OSError):
                continue
    finally:
        stop.set()
        swapping.join()
    assert seen <= {b"mine"}


def test_a_file_is_whole_or_not_there(sandbox, root, monkeypatch):
    sandbox.write("a.txt", b"old", new=True)

    def broken(*_: object, **__: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        sandbox.write("a.txt", b"new", new=False)
    assert [path.name for path in root.iterdir()] == ["a.txt"]
    assert (root / "a.txt").read_bytes() == b"old"
