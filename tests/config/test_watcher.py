"""The watcher of the agents directory, on real files. What is waited for is told, or the deadline fails the test."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from caxton.config import watcher
from caxton.config.watcher import is_definition, watch_definitions

DEADLINE = 10


class Watch:
    """A watch under way, and what it has told."""

    def __init__(self, directory: Path, batches: AsyncIterator[frozenset[Path]]) -> None:
        self.directory = directory
        self.batches = batches

    async def tells_of(self, *names: str) -> frozenset[Path]:
        """All that is told until each of the files was; nothing else may be."""
        told: frozenset[Path] = frozenset()
        wanted = {self.directory / name for name in names}
        async with asyncio.timeout(DEADLINE):
            while not wanted <= told:
                told |= await anext(self.batches)
        assert told == wanted
        return told


@asynccontextmanager
async def watching(directory: Path) -> AsyncIterator[Watch]:
    stop = asyncio.Event()
    batches = watch_definitions(directory, stop)
    async with asyncio.timeout(DEADLINE):
        assert await anext(batches) == frozenset()
    yield Watch(directory, batches)
    stop.set()
    async with asyncio.timeout(DEADLINE):
        async for batch in batches:
            assert all(path.parent == directory for path in batch)


@pytest.fixture
def agents(tmp_path) -> Path:
    directory = tmp_path / "agents"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("helper.toml", True),
        ("a.b.toml", True),
        ("helper.TOML", False),
        ("helper.toml~", False),
        ("helper.toml.swp", False),
        (".helper.toml", False),
        (".#helper.toml", False),
        ("#helper.toml#", False),
        ("~helper.toml", False),
        ("4913", False),
        ("toml", False),
    ],
)
def test_an_agent_file_is_told_from_an_editors_files(name, is_one):
    assert is_definition(Path("agents") / name) is is_one


async def test_a_file_that_is_made_saved_and_deleted_is_told_of_each_time(agents):
    file = agents / "helper.toml"
    async with watching(agents) as watch:
        file.write_text("one")
        await watch.tells_of("helper.toml")
        file.write_text("two, and longer")
        await watch.tells_of("helper.toml")
        file.unlink()
        await watch.tells_of("helper.toml")


async def test_a_file_that_was_there_before_is_not_told_of_until_it_changes(agents):
    (agents / "old.toml").write_text("one")
    (agents / "new.toml").write_text("one")
    async with watching(agents) as watch:
        (agents / "new.toml").write_text("two, and longer")
        await watch.tells_of("new.toml")


async def test_a_file_that_an_editor_writes_aside_and_renames_is_told_of_alone(agents):
    file = agents / "helper.toml"
    file.write_text("one")
    async with watching(agents) as watch:
        for text in ("two", "three"):
            aside = agents / ".helper.toml.tmp"
            aside.write_text(text)
            aside.replace(file)
            await watch.tells_of("helper.toml")


async def test_a_file_that_an_editor_moves_away_and_writes_anew_is_told_of(agents):
    file = agents / "helper.toml"
    file.write_text("one")
    async with watching(agents) as watch:
        file.rename(agents / "helper.toml~")
        file.write_text("two")
        await watch.tells_of("helper.toml")


async def test_a_file_that_takes_another_name_is_told_of_by_both(agents):
    (agents / "old.toml").write_text("one")
    async with watching(agents) as watch:
        (agents / "old.toml").rename(agents / "new.toml")
        await watch.tells_of("old.toml", "new.toml")


async def test_several_files_at_once_are_all_told_of(agents):
    names = [f"agent-{number}.toml" for number in range(50)]
    async with watching(agents) as watch:
        for name in names:
            (agents / name).write_text(name)
        await watch.tells_of(*names)
        for name in names:
            (agents / name).unlink()
        await watch.tells_of(*names)


async def test_a_file_that_is_deleted_and_restored_is_told_of(agents):
    file = agents / "helper.toml"
    file.write_text("one")
    async with watching(agents) as watch:
        file.unlink()
        await watch.tells_of("helper.toml")
        file.write_text("one")
        await watch.tells_of("helper.toml")


async def test_what_is_no_agent_file_is_never_told_of(agents):
    async with watching(agents) as watch:
        for name in (".hidden.toml", "notes.txt", "helper.toml~", "#helper.toml"):
            (agents / name).write_text("x")
        (agents / "folder").mkdir()
        (agents / "folder" / "inner.toml").write_text("x")
        (agents / "last.toml").write_text("x")
        await watch.tells_of("last.toml")


async def test_with_a_directory_that_is_removed_go_its_files_and_with_one_that_is_restored_they_come_back(agents):
    (agents / "helper.toml").write_text("one")
    async with watching(agents) as watch:
        (agents / "helper.toml").unlink()
        agents.rmdir()
        await watch.tells_of("helper.toml")
        agents.mkdir()
        (agents / "helper.toml").write_text("one")
        await watch.tells_of("helper.toml")
        (agents / "other.toml").write_text("two")
        await watch.tells_of("other.toml")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not move a directory that is watched")
async def test_a_directory_that_is_swapped_for_another_is_told_of_by_what_differs(agents, tmp_path):
    for name in ("gone.toml", "stays.toml"):
        (agents / name).write_text("one")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("stays.toml", "new.toml"):
        (other / name).write_text("another one")
    async with watching(agents) as watch:
        agents.rename(tmp_path / "before")
        other.rename(agents)
        await watch.tells_of("gone.toml", "stays.toml", "new.toml")
        (agents / "later.toml").write_text("two")
        await watch.tells_of("later.toml")


async def test_a_directory_that_is_not_there_yet_is_waited_for(agents):
    agents.rmdir()
    async with watching(agents) as watch:
        agents.mkdir()
        (agents / "helper.toml").write_text("one")
        await watch.tells_of("helper.toml")


async def test_a_file_in_the_place_of_the_directory_is_waited_out(agents):
    agents.rmdir()
    agents.write_text("not a directory")
    async with watching(agents) as watch:
        agents.unlink()
        agents.mkdir()
        (agents / "helper.toml").write_text("one")
        await watch.tells_of("helper.toml")


@pytest.mark.skipif(os.name == "nt", reason="symbolic links ask for a right there")
async def test_a_file_behind_a_link_is_told_of_by_the_name_of_the_link(agents, tmp_path):
    target = tmp_path / "elsewhere.toml"
    target.write_text("one")
    (agents / "helper.toml").symlink_to(target)
    linked = tmp_path / "linked"
    linked.symlink_to(agents)
    async with watching(linked) as watch:
        target.write_text("two, and longer")
        await watch.tells_of("helper.toml")
        (agents / "direct.toml").write_text("x")
        await watch.tells_of("direct.toml")


@pytest.mark.parametrize("there", [True, False], ids=["watching", "waiting for the directory"])
async def test_it_ends_as_soon_as_it_is_stopped(agents, there):
    if not there:
        agents.rmdir()
    stop = asyncio.Event()
    batches = watch_definitions(agents, stop)
    await anext(batches)
    last = asyncio.ensure_future(anext(batches, None))
    await asyncio.sleep(0)
    begun = asyncio.get_running_loop().time()
    stop.set()
    async with asyncio.timeout(DEADLINE):
        assert await last is None
    assert asyncio.get_running_loop().time() - begun < watcher.LOOK / 1000 * 0.9


async def test_it_ends_at_once_where_it_was_stopped_before(agents):
    stop = asyncio.Event()
    stop.set()
    assert [batch async for batch in watch_definitions(agents, stop)] == []


async def test_it_can_be_cancelled_and_leaves_the_event_of_others_alone(agents):
    stop, begun = asyncio.Event(), asyncio.Event()

    async def follow() -> None:
        async for _ in watch_definitions(agents, stop):
            begun.set()

    following = asyncio.create_task(follow())
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    assert not stop.is_set()


async def test_where_the_system_cannot_watch_it_looks_for_itself_and_says_so_once(agents, monkeypatch, caplog):
    import watchfiles

    def refuse(*_, **__):
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watchfiles.main, "RustNotify", refuse)
    monkeypatch.setattr(watcher, "MISSING", 0.01)
    with caplog.at_level(logging.WARNING):
        async with watching(agents) as watch:
            for text in ("one", "two, and longer"):
                (agents / "helper.toml").write_text(text)
                await watch.tells_of("helper.toml")
    (record,) = caplog.records
    assert "inotify watch limit reached" in record.message
    assert str(agents) in record.message
