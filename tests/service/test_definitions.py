import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.house import House, until

from caxton.config.source import read_source
from caxton.domain.agent import ReloadOutcome
from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.domain.lifecycle import AgentState
from caxton.service import definitions
from caxton.service.definitions import GRACE

WRONG = 'name = "helper"\nsystem_prompt = "You help."\ntemprature = 1\n'


def prompt(house, name="helper"):
    return house.supervisor.get(name).loaded.definition.system_prompt


def names(house):
    return sorted(actor.name for actor in house.supervisor.all())


def under_way():
    """The tasks that see a file's or an agent's end through."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith(("grace for", "goodbye of"))]


async def settled() -> None:
    await until(lambda: not under_way(), "the end of what was begun")


async def gone(house, *paths: Path) -> None:
    """What the watcher says of deleted files, and the time after which they count as gone."""
    for path in paths:
        await house.definitions.follow(path)
    await house.clock.advance(GRACE)
    await settled()


class TestReading:
    async def test_every_file_of_the_directory_becomes_an_agent(self, house):
        for number in range(50):
            house.file(f"agent-{number:02}")
        async with house.opened():
            assert names(house) == [f"agent-{number:02}" for number in range(50)]
            assert {actor.state for actor in house.supervisor.all()} == {AgentState.RUNNING}

    async def test_hidden_and_other_files_are_none(self, house):
        house.file("helper", at=".helper.toml")
        house.file("helper", at="helper.toml~")
        house.file("helper", at="helper.txt")
        async with house.opened():
            assert names(house) == []
            assert house.definitions.rejected() == []

    async def test_a_directory_that_is_missing_is_made(self, house):
        async with house.opened():
            assert house.directory.is_dir()

    async def test_a_directory_that_cannot_be_is_named_with_the_way_out(self, house):
        house.directory.write_text("a file in the way")
        with pytest.raises(CaxtonError) as caught:
            async with house.opened():
                pass
        assert caught.value.code is Code.STORAGE_FAILED
        assert str(house.directory) in caught.value.message
        assert "--agents-dir" in caught.value.hint

    async def test_an_edit_is_applied_and_the_same_text_again_changes_nothing(self, running):
        path = running.file(prompt="You sing.")
        before = running.supervisor.get("helper").record.id
        await running.definitions.follow(path)
        assert running.definitions.result("helper").outcome is ReloadOutcome.APPLIED
        assert prompt(running) == "You sing."
        assert running.supervisor.get("helper").record.id == before
        await running.clock.advance(1)
        await running.definitions.follow(path)
        assert running.definitions.result("helper").at == running.clock.now() - 1
        result = await running.definitions.reload("helper")
        assert result.outcome is ReloadOutcome.APPLIED, "the last change is what is told, not that nothing changed"

    async def test_a_file_that_was_mended_back_is_unchanged(self, running):
        path = running.directory / "helper.toml"
        good = path.read_text()
        path.write_text(WRONG)
        await running.definitions.follow(path)
        path.write_text(good)
        await running.definitions.follow(path)
        assert running.definitions.result("helper").outcome is ReloadOutcome.UNCHANGED
        assert running.definitions.result("helper").diagnostics == ()

    async def test_warnings_are_told_of_an_agent_that_runs(self, running):
        await running.definitions.follow(running.file(more='resources.memory = "1GB"\n'))
        result = running.definitions.result("helper")
        assert result.outcome is ReloadOutcome.APPLIED
        assert [diagnostic.code for diagnostic in result.diagnostics] == ["no_effect_yet"]


class TestRejection:
    async def test_a_rejected_file_keeps_the_running_agent_and_shows_why(self, running):
        path = running.directory / "helper.toml"
        path.write_text(WRONG)
        await running.definitions.follow(path)
        result = running.definitions.result("helper")
        assert result.outcome is ReloadOutcome.REJECTED
        (problem,) = result.diagnostics
        assert (problem.code, problem.line, problem.column) == ("unknown_key", 3, 1)
        assert (await running.ask("Hello")).text == "echo: Hello"

    async def test_reading_it_by_hand_raises_all_its_problems(self, running):
        (running.directory / "helper.toml").write_text(WRONG + "verson = 1\n")
        with pytest.raises(ConfigurationError) as caught:
            await running.definitions.reload("helper")
        assert [diagnostic.line for diagnostic in caught.value.diagnostics] == [3, 4]

    async def test_a_new_broken_file_defines_no_agent_until_it_is_mended(self, running):
        path = running.directory / "other.toml"
        path.write_text("name = ")
        await running.definitions.follow(path)
        (rejected,) = running.definitions.rejected()
        assert rejected.file == str(path)
        assert rejected.diagnostics[0].line == 1
        await running.definitions.follow(running.file("other"))
        assert running.definitions.rejected() == []
        assert names(running) == ["helper", "other"]

    async def test_a_broken_file_that_goes_is_forgotten(self, running):
        path = running.directory / "other.toml"
        path.write_text("name = ")
        await running.definitions.follow(path)
        path.unlink()
        await gone(running, path)
        assert running.definitions.rejected() == []

    async def test_one_broken_file_among_many_hinders_none(self, house):
        for number in range(5):
            house.file(f"agent-{number}")
        (house.directory / "agent-2.toml").write_bytes(b"\xff\xfe\x00")
        async with house.opened():
            assert names(house) == ["agent-0", "agent-1", "agent-3", "agent-4"]
            assert len(house.definitions.rejected()) == 1

    async def test_a_file_that_our_own_fault_keeps_from_being_read_hinders_none(self, house, monkeypatch):
        load = definitions.load_definition

        def breaks(source, **more):
            if source.path.endswith("faulty.toml"):
                raise ZeroDivisionError("on purpose")
            return load(source, **more)

        monkeypatch.setattr(definitions, "load_definition", breaks)
        house.file("faulty")
        house.file("good-one")
        async with house.opened():
            assert names(house) == ["good-one"]
            (rejected,) = house.definitions.rejected()
            assert rejected.diagnostics[0].code == "internal"
            assert "on purpose" in rejected.diagnostics[0].message

    @pytest.mark.parametrize("fault", [ZeroDivisionError("on purpose"), CaxtonError(Code.STORAGE_FAILED, "on purpose")])
    async def test_a_fault_with_one_file_does_not_end_the_watch(self, running, monkeypatch, fault):
        told = asyncio.Queue()

        async def watched(directory, stop):
            while paths := await told.get():
                yield paths

        monkeypatch.setattr(definitions, "watch_definitions", watched)
        faulty, good = running.file("faulty"), running.file("good-one")
        apply = running.supervisor.apply

        async def breaks(loaded):
            if loaded.definition.name == "faulty":
                raise fault
            return await apply(loaded)

        monkeypatch.setattr(running.supervisor, "apply", breaks)
        watch = asyncio.create_task(running.definitions.watch(asyncio.Event(), asyncio.Event()))
        told.put_nowait(frozenset({faulty}))
        told.put_nowait(frozenset({good}))
        await until(lambda: running.supervisor.find("good-one") or watch.done(), "the good file's agent")
        monkeypatch.setattr(running.supervisor, "apply", apply)
        told.put_nowait(frozenset({faulty}))
        await until(lambda: running.supervisor.find("faulty") or watch.done(), "the other's, once it can be")
        told.put_nowait(frozenset())
        await watch
        assert names(running) == ["faulty", "good-one", "helper"]

    async def test_a_store_that_fails_while_an_agent_goes_is_told_in_the_log_alone(self, running, caplog):
        async def refuses(name, source):
            raise CaxtonError(Code.STORAGE_FAILED, "the disk is full")

        running.agent_store.accept = refuses
        path = running.directory / "helper.toml"
        path.unlink()
        await gone(running, path)
        assert names(running) == []
        await until(lambda: "goodbye of helper: the disk is full" in caplog.text, "the line in the log")


class TestNames:
    async def test_of_two_files_with_one_name_the_first_holds(self, running):
        second = running.file(prompt="An impostor.", at="second.toml")
        await running.definitions.follow(second)
        assert prompt(running) == "You help."
        (rejected,) = running.definitions.rejected()
        (problem,) = rejected.diagnostics
        assert (problem.code, problem.file) == ("duplicate_name", str(second))
        assert str(running.directory / "helper.toml") in problem.message

    async def test_at_the_start_the_first_in_the_alphabet_holds(self, house):
        house.file(prompt="B", at="b.toml")
        house.file(prompt="A", at="a.toml")
        async with house.opened():
            assert prompt(house) == "A"
            assert len(house.definitions.rejected()) == 1

    async def test_the_second_takes_over_when_the_first_goes(self, running):
        await running.definitions.follow(running.file(prompt="The heir.", at="second.toml"))
        before = running.supervisor.get("helper").record.id
        first = running.directory / "helper.toml"
        first.unlink()
        await gone(running, first)
        assert prompt(running) == "The heir."
        assert running.definitions.rejected() == []
        assert running.supervisor.get("helper").record.id == before

    async def test_the_second_takes_over_when_the_first_is_named_otherwise(self, running):
        await running.definitions.follow(running.file(prompt="The heir.", at="second.toml"))
        await running.definitions.follow(running.file("other", at="helper.toml"))
        await settled()
        assert names(running) == ["helper", "other"]
        assert prompt(running) == "The heir."

    async def test_two_files_may_exchange_their_names(self, running):
        await running.definitions.follow(running.file("other", at="other.toml"))
        ids = {name: running.supervisor.get(name).record.id for name in names(running)}
        await running.definitions.follow(running.file("other", prompt="Was the helper.", at="helper.toml"))
        await running.definitions.follow(running.file("helper", prompt="Was the other.", at="other.toml"))
        await settled()
        assert (prompt(running, "helper"), prompt(running, "other")) == ("Was the other.", "Was the helper.")
        assert {name: running.supervisor.get(name).record.id for name in names(running)} == ids
        assert running.definitions.rejected() == []

    async def test_a_file_renamed_keeps_the_agent_with_id_and_without_a_pause(self, running):
        before = running.supervisor.get("helper")
        old, new = running.directory / "helper.toml", running.directory / "renamed.toml"
        old.rename(new)
        await running.definitions.follow(old)
        await running.definitions.follow(new)
        await gone(running)
        assert running.supervisor.get("helper") is before
        assert running.definitions.file_of("helper") == new

    async def test_another_name_in_the_file_is_another_agent(self, running):
        await running.definitions.follow(running.file("other", at="helper.toml"))
        await settled()
        assert names(running) == ["other"]
        assert running.definitions.file_of("helper") is None

    @pytest.mark.skipif(sys.platform != "linux", reason="names in other encodings are Linux's")
    @pytest.mark.parametrize("text", ["name = ", 'name = "other"\nsystem_prompt = "You help."\n'])
    async def test_a_file_name_that_is_no_text_is_a_diagnostic(self, running, text):
        path = running.directory / os.fsdecode(b"\xff\xfe.toml")
        path.write_text(text)
        await running.definitions.follow(path)
        (rejected,) = running.definitions.rejected()
        assert rejected.file.endswith(r"\udcff\udcfe.toml")
        assert rejected.diagnostics[0].file == rejected.file
        assert names(running) == ["helper"]
        path.unlink()
        await gone(running, path)
        assert running.definitions.rejected() == []


class TestGoing:
    async def test_a_file_that_goes_takes_its_agent_along_after_a_moment(self, running):
        path = running.directory / "helper.toml"
        path.unlink()
        await running.definitions.follow(path)
        await running.clock.advance(GRACE * 0.9)
        assert names(running) == ["helper"]
        await gone(running)
        assert names(running) == []

    async def test_a_file_written_anew_within_the_moment_never_left(self, running):
        before = running.supervisor.get("helper")
        path = running.directory / "helper.toml"
        path.unlink()
        await running.definitions.follow(path)
        await running.clock.advance(GRACE / 2)
        await running.definitions.follow(running.file(prompt="You sing."))
        await gone(running)
        assert running.supervisor.get("helper") is before
        assert prompt(running) == "You sing."

    async def test_a_deleted_and_restored_file_has_its_id_and_history_back(self, running):
        first = await running.ask("Hello")
        before = running.supervisor.get("helper").record.id
        path = running.directory / "helper.toml"
        text = path.read_text()
        path.unlink()
        await gone(running, path)
        path.write_text(text)
        await running.definitions.follow(path)
        assert running.supervisor.get("helper").record.id == before
        second = await running.ask("Again")
        assert first.text in [message.content for message in running.traces.find(second.in_reply_to).prompt]

    async def test_a_long_goodbye_holds_nobody_up(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        path = running.directory / "helper.toml"
        path.unlink()
        await running.definitions.follow(path)
        await running.clock.advance(GRACE)
        await until(lambda: running.supervisor.get("helper").state is AgentState.DRAINING, "the draining")
        async with asyncio.timeout(5):
            await running.definitions.follow(running.file("other"))
            listed = await running.agents.list()
        assert {agent.name: agent.state for agent in listed.agents} == {"helper": "draining", "other": "running"}
        running.model.let_go.set()
        assert (await asking).text == "echo: hold on"
        await gone(running)
        assert names(running) == ["other"]

    async def test_a_file_restored_during_the_goodbye_is_in_force_after_it(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        path = running.directory / "helper.toml"
        path.unlink()
        await running.definitions.follow(path)
        await running.clock.advance(GRACE)
        await until(lambda: running.supervisor.get("helper").state is AgentState.DRAINING, "the draining")
        restoring = asyncio.create_task(running.definitions.follow(running.file(prompt="You sing.")))
        running.model.let_go.set()
        await restoring
        assert (await asking).text == "echo: hold on"
        assert prompt(running) == "You sing."
        assert (await running.ask("Still there?")).text == "echo: Still there?"

    @pytest.mark.skipif(sys.platform == "win32", reason="symbolic links take a privilege on Windows")
    async def test_a_link_that_leads_nowhere_is_a_broken_file_and_no_deleted_one(self, running, tmp_path):
        target, link = tmp_path / "elsewhere.toml", running.directory / "linked.toml"
        target.write_text('name = "linked"\nsystem_prompt = "You help."\n')
        link.symlink_to(target)
        await running.definitions.follow(link)
        target.unlink()
        await running.definitions.follow(link)
        await gone(running)
        assert names(running) == ["helper", "linked"]
        (problem,) = running.definitions.result("linked").diagnostics
        assert problem.code == "unreadable"


class TestRestart:
    async def restart(self, house):
        """What a restart of the server is: leave, and enter again."""
        async with house.opened():
            return names(house)

    async def test_a_file_broken_meanwhile_falls_back_to_what_was_accepted_last(self, house):
        house.file(prompt="The first.")
        async with house.opened():
            await house.definitions.follow(house.file(prompt="The last."))
            before = house.supervisor.get("helper").record.id
        (house.directory / "helper.toml").write_text(WRONG)
        async with house.opened():
            assert prompt(house) == "The last."
            assert house.supervisor.get("helper").record.id == before
            assert house.definitions.result("helper").outcome is ReloadOutcome.REJECTED
            assert house.definitions.rejected() == []
            assert (await house.ask("Hello")).text == "echo: Hello"

    async def test_what_was_accepted_last_but_is_not_valid_any_more_is_told(self, house):
        house.file(more='llm_provider = "other"\n')
        async with house.opened():
            assert names(house) == ["helper"]
        (house.directory / "helper.toml").write_text(WRONG)
        house.providers.names = lambda: ("echo",)
        async with house.opened():
            assert names(house) == []
            (rejected,) = house.definitions.rejected()
            assert rejected.diagnostics[0].code == "unknown_key"

    async def test_a_file_gone_meanwhile_has_no_agent(self, house):
        path = house.file()
        await self.restart(house)
        path.unlink()
        assert await self.restart(house) == []

    async def test_an_agent_that_moved_to_a_file_before_is_not_brought_back_by_its_old_broken_one(self, house):
        old = house.file(prompt="Old.", at="old.toml")
        await self.restart(house)
        house.file(prompt="New.", at="a-new.toml")
        old.write_text(WRONG)
        async with house.opened():
            assert prompt(house) == "New."
            assert house.definitions.file_of("helper") == house.directory / "a-new.toml"
            assert [rejected.file for rejected in house.definitions.rejected()] == [str(old)]

    async def test_an_agent_that_moved_to_a_file_behind_is_not_brought_back_by_its_old_broken_one(self, house):
        old = house.file(prompt="Old.", at="old.toml")
        await self.restart(house)
        house.file(prompt="New.", at="z-new.toml")
        old.write_text(WRONG)
        async with house.opened():
            assert prompt(house) == "New."
            assert house.definitions.file_of("helper") == house.directory / "z-new.toml"

    async def test_a_file_broken_meanwhile_brings_back_the_agent_it_defined_last(self, house):
        house.file("zebra", at="one.toml")
        async with house.opened():
            await house.definitions.follow(house.file("antelope", at="one.toml"))
            await settled()
        (house.directory / "one.toml").write_text("name = ")
        assert await self.restart(house) == ["antelope"]

    async def test_an_agent_deleted_by_command_is_not_brought_back_by_a_broken_file_in_its_place(self, running):
        await running.definitions.delete("helper", forget=False)
        (running.directory / "helper.toml").write_text(WRONG)
        assert await self.restart(running) == []


class TestWriting:
    TOML = 'name = "written"\nsystem_prompt = "You help."\n# a comment\n'

    async def test_a_definition_is_written_as_it_is_and_in_force_at_once(self, running):
        actor = await running.definitions.write(self.TOML)
        assert actor.state is AgentState.RUNNING
        assert (running.directory / "written.toml").read_text() == self.TOML
        assert sorted(path.name for path in running.directory.iterdir()) == ["helper.toml", "written.toml"]

    async def test_the_watcher_that_notices_it_changes_nothing(self, running):
        actor = await running.definitions.write(self.TOML)
        before = running.definitions.result("written")
        await running.clock.advance(1)
        await running.definitions.follow(running.directory / "written.toml")
        assert running.definitions.result("written") == before
        assert running.supervisor.get("written") is actor

    async def test_a_wrong_one_is_not_written(self, running):
        with pytest.raises(ConfigurationError):
            await running.definitions.write(WRONG.replace("helper", "written"))
        assert [path.name for path in running.directory.iterdir()] == ["helper.toml"]

    async def test_one_that_exists_is_replaced_only_where_that_was_asked_for(self, running):
        text = 'name = "helper"\nsystem_prompt = "You sing."\n'
        with pytest.raises(CaxtonError) as caught:
            await running.definitions.write(text)
        assert caught.value.code is Code.AGENT_EXISTS
        assert prompt(running) == "You help."
        await running.definitions.write(text, replace=True)
        assert prompt(running) == "You sing."

    async def test_it_is_replaced_in_the_file_that_defines_it(self, running):
        path = running.file("other", at="some-file.toml")
        await running.definitions.follow(path)
        await running.definitions.write('name = "other"\nsystem_prompt = "You sing."\n', replace=True)
        assert "You sing." in path.read_text()
        assert not (running.directory / "other.toml").exists()

    async def test_a_file_in_the_way_is_not_overwritten(self, running):
        (running.directory / "written.toml").write_text("name = ")
        with pytest.raises(CaxtonError) as caught:
            await running.definitions.write(self.TOML)
        assert caught.value.code is Code.AGENT_EXISTS
        assert (running.directory / "written.toml").read_text() == "name = "

    async def test_another_name_than_was_settled_is_refused(self, running):
        with pytest.raises(CaxtonError) as caught:
            await running.definitions.write(self.TOML, name="other", replace=True)
        assert caught.value.code is Code.BODY_INVALID
        assert "'written'" in caught.value.message

    async def test_what_cannot_be_written_is_a_storage_failure(self, running):
        (running.directory / "written.toml").mkdir()
        with pytest.raises(CaxtonError) as caught:
            await running.definitions.write(self.TOML, replace=True)
        assert caught.value.code is Code.STORAGE_FAILED
        assert sorted(path.name for path in running.directory.iterdir()) == ["helper.toml", "written.toml"]

    async def test_many_at_once_are_all_written(self, running):
        texts = [self.TOML.replace("written", f"written-{number:02}") for number in range(30)]
        await asyncio.gather(*(running.definitions.write(text) for text in texts))
        assert len(names(running)) == 31

    async def test_of_two_at_once_with_one_name_one_is_refused(self, running):
        outcomes = await asyncio.gather(
            running.definitions.write(self.TOML), running.definitions.write(self.TOML), return_exceptions=True
        )
        (refused,) = (outcome for outcome in outcomes if isinstance(outcome, CaxtonError))
        assert refused.code is Code.AGENT_EXISTS

    async def test_a_file_that_cannot_be_deleted_leaves_the_agent(self, running, monkeypatch):
        def refuses(path, missing_ok=False):
            raise PermissionError("on purpose")

        monkeypatch.setattr(Path, "unlink", refuses)
        with pytest.raises(CaxtonError) as caught:
            await running.definitions.delete("helper", forget=False)
        assert caught.value.code is Code.STORAGE_FAILED
        assert names(running) == ["helper"]
        assert running.definitions.file_of("helper") is not None


FILES = ("a.toml", "b.toml", "c.toml")
NAMES = ("ant-one", "bee-two", "cat-three")
CHANGES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(FILES), st.sampled_from(NAMES)),
    st.tuples(st.just("break"), st.sampled_from(FILES), st.just("")),
    st.tuples(st.just("delete"), st.sampled_from(FILES), st.just("")),
    st.tuples(st.just("rename"), st.sampled_from(FILES), st.sampled_from(FILES)),
    st.tuples(st.just("command"), st.just(""), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.just(""), st.just("")),
)


async def change(house, number, what, file, other) -> None:
    """Do it to the directory, and tell of it as the watcher does."""
    path = house.directory / file
    match what:
        case "write":
            await house.definitions.follow(house.file(other, f"Prompt {number}.", at=file))
        case "break":
            path.write_text("name = ")
            await house.definitions.follow(path)
        case "delete":
            path.unlink(missing_ok=True)
            await house.definitions.follow(path)
        case "rename" if path.exists():
            path.replace(house.directory / other)
            await house.definitions.follow(path)
            await house.definitions.follow(house.directory / other)
        case "command" if house.supervisor.find(other):
            await house.definitions.delete(other, forget=False)
        case "wait":
            await gone(house)


def as_the_files_say(house) -> None:
    """Of the files that give a name one is in force; any other file is told to be broken, or held back by that one."""
    files = {*house.directory.glob("*.toml")}
    said = {}
    for path in files:
        try:
            said[path] = house.definitions.check(read_source(path)).definition
        except ConfigurationError:
            said[path] = None
    in_force = {name: house.definitions.file_of(name) for name in names(house)}
    told = {Path(one.file): one.diagnostics for one in house.definitions.rejected()}
    assert files == told.keys() | in_force.values()
    assert not told.keys() & in_force.values()
    for name, path in in_force.items():
        if house.definitions.result(name).outcome is ReloadOutcome.REJECTED:
            told[path] = house.definitions.result(name).diagnostics
        else:
            assert house.supervisor.get(name).loaded.definition == said[path]
    for path, (problem,) in told.items():
        if said[path] is None:
            assert problem.code == "toml_syntax"
        else:
            assert problem.code == "duplicate_name"
            holder = in_force[said[path].name]
            assert holder != path
            assert said[holder] is None or said[holder].name == said[path].name


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, max_size=15))
async def test_whatever_becomes_of_the_files_the_agents_are_as_they_say(changes):
    with tempfile.TemporaryDirectory() as directory:
        house = House.on(Path(directory))
        async with house.opened():
            for number, (what, file, other) in enumerate(changes):
                await change(house, number, what, file, other)
            await gone(house)
            as_the_files_say(house)
        async with house.opened():
            as_the_files_say(house)
