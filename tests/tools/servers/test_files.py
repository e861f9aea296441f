"""The `files` server: all of its tools, and more than thirty ways out that are closed."""

import os
import re
from pathlib import Path

import pytest


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory with a secret, beside the root."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("hush")
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("one\ntwo\nthree\n")
    (root / "sub" / "b.md").write_text("# Two\nAlpha\n")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "dir-link").symlink_to(outside, target_is_directory=True)
    (root / "sub" / "up").symlink_to("../..", target_is_directory=True)
    (root / "abs-root").symlink_to("/", target_is_directory=True)
    (root / "chain").symlink_to("dir-link/secret.txt")
    (root / "inside-link").symlink_to("a.txt")
    os.link(outside / "secret.txt", root / "hard.txt")
    return root


@pytest.fixture
def ask(server, root):
    return server("files", str(root))


def tricks(root: Path, outside: Path) -> list[str]:
    """Paths that would read the secret, or anything else outside, if they were believed."""
    secret = str(outside / "secret.txt")
    return [
        "../outside/secret.txt",
        "./../outside/secret.txt",
        "sub/../../outside/secret.txt",
        "sub/./.././../outside/secret.txt",
        "nowhere/../../outside/secret.txt",
        "..",
        "../",
        "../root/a.txt",
        "..\\outside\\secret.txt",
        "sub\\..\\..\\outside\\secret.txt",
        "sub/..\\..\\outside/secret.txt",
        secret,
        "/" + secret,
        "//" + secret,
        "/etc/passwd",
        "/proc/self/root" + secret,
        "/proc/self/cwd",
        "/dev/stdin",
        str(root) + "/../outside/secret.txt",
        str(root / "a.txt"),
        "file://" + secret,
        "FILE:///etc/passwd",
        "~/../../etc/passwd",
        "~root/.profile",
        "link.txt",
        "dir-link/secret.txt",
        "dir-link",
        "sub/up/outside/secret.txt",
        "abs-root" + secret,
        "abs-root/etc/passwd",
        "chain",
        "inside-link",
        "hard.txt",
        "./link.txt",
        "sub/../link.txt",
        "LINK.TXT",
        "a.txt\0/../../outside/secret.txt",
        "link.txt\0.png",
        "a.txt\n",
        "a.txt/../../outside/secret.txt",
        "%2e%2e/outside/secret.txt",
        "..%2foutside%2fsecret.txt",
        "..%c0%afoutside/secret.txt",
        "%252e%252e%252foutside/secret.txt",
        "．．/outside/secret.txt",  # noqa: RUF001 - full-width dots
        "‥/outside/secret.txt",  # a two-dot leader
        "..∕outside∕secret.txt",  # noqa: RUF001 - division slashes
        "....//outside/secret.txt",
        "..;/outside/secret.txt",
        ".. /outside/secret.txt",
        "... /outside/secret.txt",
        "../outside/secret.txt ",
        "C:\\Windows\\win.ini",
        "C:secret.txt",
        "c:/windows/win.ini",
        "\\\\localhost\\c$\\secret.txt",
        "\\\\?\\C:\\secret.txt",
        "//?/C:/secret.txt",
        "a.txt::$DATA",
        "a.txt:stream",
        "CON",
        "con.txt",
        "NUL",
        "sub/nul",
        "Aux.md",
        "COM1",
        "LPT9.log",
        "CONIN$",
        "a.txt.",
        "a.txt ",
        "$(cat ../outside/secret.txt)",
        "`cat ../outside/secret.txt`",
        "${HOME}/x",
        "sub/" * 2_000 + "a.txt",
        "x" * 5_000,
        "",
        ".",
    ]


async def test_no_trick_reads_anything_outside(ask, root, outside):
    assert len(tricks(root, outside)) > 60
    for path in tricks(root, outside):
        result = await ask("read_file", path=path)
        assert result.failed, path
        assert "hush" not in result.text(), path
        assert "root:x:" not in result.text(), path


async def test_no_trick_lists_or_searches_anything_outside(ask, root, outside):
    for path in tricks(root, outside):
        for tool, given in [
            ("list_directory", {}),
            ("find_files", {"pattern": "*"}),
            ("search_text", {"text": "hush"}),
        ]:
            result = await ask(tool, path=path, **given)
            # The root may be listed, the links in it as what they are; the secret's name and words are in neither.
            assert result.failed or not {"secret.txt", "hush"} & set(re.split(r"[/\s:]", result.text())), (tool, path)


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_no_trick_changes_anything_outside(ask, root, outside):
    before = contents(outside)
    for path in tricks(root, outside):
        for tool, given in [
            ("write_file", {"content": "x"}),
            ("append_file", {"content": "x"}),
            ("edit_file", {"old": "hush", "new": "x"}),
            ("create_directory", {}),
            ("move", {"to": "../outside/moved"}),
        ]:
            await ask(tool, path=path, **given)
        (root / "a.txt").write_text("mine")
        await ask("move", path="a.txt", to=path)
    assert contents(outside) == before
    assert sorted(path.name for path in root.parent.iterdir()) == ["outside", "root"]


async def test_deleting_a_link_deletes_the_link_alone(ask, root, outside):
    assert not (await ask("delete", path="dir-link")).failed
    assert not (await ask("delete", path="link.txt")).failed
    assert (outside / "secret.txt").read_text() == "hush"
    assert (await ask("delete", path="abs-root/tmp")).failed


async def test_files_are_read_whole_or_in_part(ask):
    assert (await ask("read_file", path="a.txt")).text() == "one\ntwo\nthree\n"
    assert (await ask("read_file", path="a.txt", start=2, lines=1)).text() == "two\n"
    assert (await ask("read_file", path="./sub//b.md")).text().startswith("# Two")


async def test_directories_are_listed(ask):
    listed = (await ask("list_directory")).text().splitlines()
    assert "a.txt (14)" in listed
    assert "sub/" in listed
    assert "dir-link (link)" in listed
    assert (await ask("list_directory", path="sub")).text().splitlines()[0] == "b.md (12)"


async def test_files_are_found_by_name_and_by_text(ask):
    assert (await ask("find_files", pattern="*.md")).text() == "sub/b.md"
    assert (await ask("search_text", text="ALPHA")).text() == "sub/b.md:2: Alpha"
    assert (await ask("find_files", pattern="*.none")).text() == "(none)"


async def test_files_are_written_changed_moved_and_deleted(ask, root):
    assert not (await ask("write_file", path="new.txt", content="x = 1\n")).failed
    assert (await ask("write_file", path="new.txt", content="y", overwrite=False)).failed
    assert not (await ask("append_file", path="new.txt", content="y = 2\n")).failed
    assert not (await ask("edit_file", path="new.txt", old="x = 1", new="x = 3")).failed
    assert (root / "new.txt").read_text() == "x = 3\ny = 2\n"
    assert not (await ask("create_directory", path="sub/deep")).failed
    assert not (await ask("move", path="new.txt", to="sub/deep/moved.txt")).failed
    assert (await ask("move", path="a.txt", to="sub/deep/moved.txt")).failed
    assert not (await ask("delete", path="sub/deep/moved.txt")).failed
    assert not (await ask("delete", path="sub/deep")).failed
    assert (await ask("delete", path="sub")).failed


async def test_what_cannot_be_done_is_said_without_naming_the_outside(ask, tmp_path):
    for tool, path in [("read_file", "none.txt"), ("read_file", "sub"), ("list_directory", "a.txt")]:
        result = await ask(tool, path=path)
        assert result.failed
        assert path in result.text()
        assert str(tmp_path) not in result.text()
    assert "0 times" in (await ask("edit_file", path="a.txt", old="nothing", new="")).text()


async def test_what_is_no_text_is_not_read(ask, root):
    (root / "x.bin").write_bytes(b"\xff\xfe\x00")
    assert "no text" in (await ask("read_file", path="x.bin")).text()


async def test_large_files_are_refused(server, root):
    ask = server("files", str(root), "--max-bytes", "10")
    assert "more than 10 bytes" in (await ask("read_file", path="a.txt")).text()
    assert "10 are allowed" in (await ask("write_file", path="b.txt", content="x" * 11)).text()


async def test_read_only_has_no_tool_that_writes(server, root):
    ask = server("files", str(root), "--read-only")
    names = {tool.name.tool: tool.hints.read_only for tool in await ask.host.tools()}
    assert set(names) == {"read_file", "list_directory", "file_info", "find_files", "search_text"}
    assert all(names.values())
    assert (await ask("write_file", path="x", content="x")).failed
    assert not (root / "x").exists()
